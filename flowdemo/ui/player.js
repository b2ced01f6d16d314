// Draws the states of one or several runs on canvases. Only states that a solver really visited are
// shown: between two of them a film keeps the earlier one.
const find = (name) => element.querySelector(".fd-" + name);
const films = find("films"), time = find("time"), play = find("play"), read = find("read");
let rows = [], times = [], at = 0, timer = null;

function bytes(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

function load() {
  if (!props.value) return;
  stop();
  rows = JSON.parse(props.value).films;
  rows.forEach((film) => {
    const raw = bytes(film.data);
    film.data = film.kind === "points" ? new Float32Array(raw.buffer) : raw;
  });
  times = [...new Set(rows.flatMap((film) => film.times))].sort((a, b) => a - b);
  layOut();
  time.max = times.length - 1;
  show(times.length - 1);
}

function layOut() {
  while (films.children.length > rows.length) films.lastChild.remove();
  while (films.children.length < rows.length) {
    const figure = document.createElement("figure"), canvas = document.createElement("canvas");
    const caption = document.createElement("figcaption");
    canvas.className = "fd-canvas";
    canvas.setAttribute("role", "img");
    figure.append(caption, canvas);
    films.append(figure);
  }
  rows.forEach((film, i) => {
    const [caption, canvas] = films.children[i].children;
    caption.hidden = !film.caption;
    caption.textContent = film.caption || "";
    caption.style.borderColor = film.colour || "";
    canvas.setAttribute("aria-label", `${film.caption || "All samples"} at the chosen time, from noise to data`);
  });
  films.classList.toggle("fd-many", rows.length > 1);
  films.classList.toggle("fd-points", rows.some((film) => film.kind === "points"));
}

function show(k) {
  if (!rows.length) return;
  at = Math.max(0, Math.min(times.length - 1, k));
  time.value = at;
  rows.forEach((film, i) => {
    film.at = film.times.findLastIndex((t) => t <= times[at]);
    const canvas = films.children[i].lastChild;
    if (film.kind === "points") drawPoints(canvas, film); else drawImages(canvas, film);
  });
  const one = rows.length === 1 ? ` · state ${rows[0].numbers[rows[0].at]} of ${rows[0].states - 1}` : "";
  read.textContent = `t = ${times[at].toFixed(2)}${one}`;
  time.setAttribute("aria-valuetext", read.textContent);
}

function drawImages(canvas, film) {
  const { n, channels, width, height, data, columns } = film;
  canvas.width = columns * (width + 1) - 1;
  canvas.height = Math.ceil(n / columns) * (height + 1) - 1;
  const context = canvas.getContext("2d");
  const size = width * height * channels;
  for (let i = 0; i < n; i++) {
    const tile = context.createImageData(width, height);
    const start = (film.at * n + i) * size;
    for (let p = 0; p < width * height; p++) {
      for (let c = 0; c < 3; c++) {
        tile.data[4 * p + c] = data[start + p * channels + (channels === 1 ? 0 : c)];
      }
      tile.data[4 * p + 3] = 255;
    }
    context.putImageData(tile, (i % columns) * (width + 1), Math.floor(i / columns) * (height + 1));
  }
}

function drawPoints(canvas, film) {
  const side = 640, n = film.labels.length, half = side / 2;
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d");
  context.strokeStyle = "rgba(128,128,128,0.35)";
  context.beginPath();
  context.moveTo(half, 0); context.lineTo(half, side);
  context.moveTo(0, half); context.lineTo(side, half);
  context.stroke();
  for (let i = 0; i < n; i++) {
    const x = film.data[2 * (film.at * n + i)], y = film.data[2 * (film.at * n + i) + 1];
    context.fillStyle = film.colours[film.labels[i] % film.colours.length];
    context.beginPath();
    context.arc(half * (1 + x / film.extent), half * (1 - y / film.extent), 4, 0, 7);
    context.fill();
  }
}

function stop() {
  clearInterval(timer);
  timer = null;
  play.innerHTML = "&#9654;";
  play.setAttribute("aria-label", "Play");
}

function start() {
  if (!rows.length) return;
  if (at === times.length - 1) show(0);
  play.innerHTML = "&#10074;&#10074;";
  play.setAttribute("aria-label", "Pause");
  // Two seconds from noise to data at normal speed, however many states there are.
  let position = at, last = performance.now();
  timer = setInterval(() => {
    const now = performance.now();
    position += ((now - last) / 2000) * Number(find("speed").value) * (times.length - 1);
    last = now;
    if (Math.floor(position) > at) show(Math.floor(position));
    if (at === times.length - 1) stop();
  }, 30);
}

play.addEventListener("click", () => (timer ? stop() : start()));
find("back").addEventListener("click", () => { stop(); show(at - 1); });
find("next").addEventListener("click", () => { stop(); show(at + 1); });
time.addEventListener("input", () => { stop(); show(Number(time.value)); });
watch("value", load);
load();
