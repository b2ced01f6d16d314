// Draws the states of one or several runs on canvases. Only states that a solver really visited are
// shown: between two of them a film keeps the earlier one.
const find = (name) => element.querySelector(".fd-" + name);
const films = find("films"), time = find("time"), play = find("play"), read = find("read");
const layers = find("layers"), boxes = [...layers.querySelectorAll("[type=checkbox]")];
let rows = [], times = [], at = 0, timer = null, chosen = false;

function bytes(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

function load() {
  element.querySelector(".fd-player").hidden = !props.value;
  if (!props.value) return;
  stop();
  const value = JSON.parse(props.value);
  rows = value.films;
  rows.forEach((film) => {
    if (film.kind === "points") decode(film); else film.data = bytes(film.data);
  });
  times = [...new Set(rows.flatMap((film) => film.times))].sort((a, b) => a - b);
  layOut();
  time.max = times.length - 1;
  show(times.length - 1);
  if (value.play && !window.matchMedia("(prefers-reduced-motion: reduce)").matches) start();
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
  const n = rows.length;
  films.style.setProperty("--fd-columns", n === 4 ? 2 : n <= 3 ? n : n <= 6 ? 3 : 4);
  const flat = rows.some((film) => film.kind === "points");
  films.classList.toggle("fd-points", flat);
  layers.hidden = !flat;
  offerLayers();
}

// Only layers that some film has; until somebody chooses, those that the films ask for are on.
function offerLayers() {
  const has = (name) => rows.some((film) => film[name]);
  const there = { points: true, paths: true, states: true, real: has("real"), field: has("field") };
  boxes.forEach((box) => {
    box.parentElement.hidden = !there[box.value];
    if (!chosen) box.checked = (rows[0].layers || ["points"]).includes(box.value);
  });
  [...find("shade").options].forEach((option) => {
    option.hidden = option.disabled = option.value === "data" ? !has("real") : option.value === "error" && !has("error");
    if (option.hidden && option.selected) find("shade").value = "";
  });
}

function picked() {
  const on = Object.fromEntries(boxes.map((box) => [box.value, box.checked && !box.parentElement.hidden]));
  return { ...on, shade: find("shade").value, end: Number(find("end").value) };
}

function show(k) {
  if (!rows.length) return;
  const began = performance.now(), on = picked();
  at = Math.max(0, Math.min(times.length - 1, k));
  time.value = at;
  rows.forEach((film, i) => {
    film.at = film.times.findLastIndex((t) => t <= times[at]);
    const canvas = films.children[i].lastChild;
    if (film.kind === "points") drawPoints(canvas, film, on); else drawImages(canvas, film);
  });
  const one = rows.length === 1 ? ` · state ${rows[0].numbers[rows[0].at]} of ${rows[0].states - 1}` : "";
  read.textContent = `t = ${times[at].toFixed(2)}${one}`;
  time.setAttribute("aria-valuetext", read.textContent);
  sayUntil(on);
  films.dataset.ms = (performance.now() - began).toFixed(2);
}

// What the darkest error is, and from when until when the arrows of a MeanFlow film average.
function sayUntil(on) {
  const wrong = rows.find((row) => row.error);
  find("worst").textContent = on.shade === "error" && wrong ? `darkest: |v − v*| ≥ ${wrong.error.worst}` : "";
  const film = rows.find((row) => row.field && row.field.ends > 1);
  find("ends").hidden = !film || !on.field;
  if (!film) return;
  const from = nearest(film.field.times, times[at]), last = film.field.times - 1;
  find("until").textContent = `t = ${(from / last).toFixed(1)} → s = ${(Math.max(from, on.end) / last).toFixed(1)}`;
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
layers.addEventListener("input", () => { chosen = true; show(at); });
time.addEventListener("input", () => { stop(); show(Number(time.value)); });
watch("value", load);
load();
