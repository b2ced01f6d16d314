// Draws the states of a run on a canvas. Only states that the solver really visited are shown.
const find = (name) => element.querySelector(".fd-" + name);
const canvas = find("canvas"), time = find("time"), play = find("play"), read = find("read");
let film = null, at = 0, timer = null;

function bytes(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

function load() {
  if (!props.value) return;
  stop();
  film = JSON.parse(props.value);
  const raw = bytes(film.data);
  film.data = film.kind === "points" ? new Float32Array(raw.buffer) : raw;
  time.max = film.times.length - 1;
  show(film.times.length - 1);
}

function show(k) {
  if (!film) return;
  at = Math.max(0, Math.min(film.times.length - 1, k));
  time.value = at;
  const t = film.times[at];
  read.textContent = `t = ${t.toFixed(2)} · state ${film.numbers[at]} of ${film.states - 1}`;
  time.setAttribute("aria-valuetext", read.textContent);
  if (film.kind === "points") drawPoints(); else drawImages();
}

function drawImages() {
  const { n, channels, width, height, data } = film;
  const columns = Math.min(n, n > 16 ? Math.ceil(Math.sqrt(n * 2)) : 8), rows = Math.ceil(n / columns);
  canvas.width = columns * (width + 1) - 1;
  canvas.height = rows * (height + 1) - 1;
  const context = canvas.getContext("2d");
  const size = width * height * channels;
  for (let i = 0; i < n; i++) {
    const tile = context.createImageData(width, height);
    const start = (at * n + i) * size;
    for (let p = 0; p < width * height; p++) {
      for (let c = 0; c < 3; c++) {
        tile.data[4 * p + c] = data[start + p * channels + (channels === 1 ? 0 : c)];
      }
      tile.data[4 * p + 3] = 255;
    }
    context.putImageData(tile, (i % columns) * (width + 1), Math.floor(i / columns) * (height + 1));
  }
}

function drawPoints() {
  const side = 640, n = film.labels.length, half = side / 2;
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d");
  context.strokeStyle = "rgba(128,128,128,0.35)";
  context.beginPath();
  context.moveTo(half, 0); context.lineTo(half, side);
  context.moveTo(0, half); context.lineTo(side, half);
  context.stroke();
  for (let i = 0; i < n; i++) {
    const x = film.data[2 * (at * n + i)], y = film.data[2 * (at * n + i) + 1];
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
  if (!film) return;
  if (at === film.times.length - 1) show(0);
  play.innerHTML = "&#10074;&#10074;";
  play.setAttribute("aria-label", "Pause");
  // Two seconds from noise to data at normal speed, however many states there are.
  const pause = 2000 / (film.times.length - 1) / Number(find("speed").value);
  timer = setInterval(() => { show(at + 1); if (at === film.times.length - 1) stop(); }, Math.max(30, pause));
}

play.addEventListener("click", () => (timer ? stop() : start()));
find("back").addEventListener("click", () => { stop(); show(at - 1); });
find("next").addEventListener("click", () => { stop(); show(at + 1); });
time.addEventListener("input", () => { stop(); show(Number(time.value)); });
watch("value", load);
load();
