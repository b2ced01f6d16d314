// Points in the plane on a canvas, with the layers of a film: a shade below, then what stands still
// (real points, paths, kept as a picture), then arrows, and the points themselves on top.
const SIDE = 640, CELLS = 48, FOLLOWED = 120;
const GREY = "rgba(128,128,128,0.35)", ARROW = "rgba(128,128,128,0.9)", ERROR = [213, 94, 0];

// The grey of the exact velocity would hardly be seen on black.
function seen(colour) {
  return colour === "#555555" && document.body.classList.contains("dark") ? "#aaaaaa" : colour;
}

function decode(film) {
  film.colour = seen(film.colour);
  film.colours = film.colours.map(seen);
  const whole = new Int16Array(bytes(film.data).buffer);
  film.data = Float32Array.from(whole, (value) => value * film.scale / 32767);
  if (film.real) film.real = new Float32Array(bytes(film.real).buffer);
  if (film.field) film.field.data = new Int8Array(bytes(film.field.data).buffer);
  if (film.error) film.error.data = bytes(film.error.data);
}

function place(film, x, y) {
  const half = SIDE / 2;
  return [half * (1 + x / film.extent), half * (1 - y / film.extent)];
}

function drawPoints(canvas, film, layers) {
  const n = film.labels.length, context = canvas.getContext("2d");
  if (canvas.width !== SIDE || canvas.height !== SIDE) canvas.width = canvas.height = SIDE;
  context.clearRect(0, 0, SIDE, SIDE);
  if (layers.shade) drawShade(context, film, layers.shade, n);
  context.drawImage(still(film, layers, n), 0, 0);
  if (layers.field && film.field) drawField(context, film, layers.end);
  if (layers.points) drawCloud(context, film, film.at * n, n, 4);
}

// One path a colour: a thousand fills one by one would cost most of the frame.
function drawCloud(context, film, first, n, radius) {
  film.colours.forEach((colour, c) => {
    context.fillStyle = colour;
    context.beginPath();
    for (let i = 0; i < n; i++) {
      if (film.labels[i] % film.colours.length !== c) continue;
      const [x, y] = place(film, film.data[2 * (first + i)], film.data[2 * (first + i) + 1]);
      context.moveTo(x + radius, y);
      context.arc(x, y, radius, 0, 7);
    }
    context.fill();
  });
}

function still(film, layers, n) {
  const key = `${layers.paths} ${layers.states} ${layers.real}`;
  if (film.stillKey === key) return film.still;
  film.stillKey = key;
  film.still = document.createElement("canvas");
  film.still.width = film.still.height = SIDE;
  const context = film.still.getContext("2d");
  context.strokeStyle = context.fillStyle = GREY;
  context.beginPath();
  context.moveTo(SIDE / 2, 0); context.lineTo(SIDE / 2, SIDE);
  context.moveTo(0, SIDE / 2); context.lineTo(SIDE, SIDE / 2);
  context.stroke();
  if (layers.real && film.real) {
    for (let i = 0; i < film.real.length; i += 2) {
      const [x, y] = place(film, film.real[i], film.real[i + 1]);
      context.fillRect(x - 1.5, y - 1.5, 3, 3);
    }
  }
  context.strokeStyle = context.fillStyle = film.colour || "#0072B2";
  context.globalAlpha = 0.45;
  context.lineWidth = n <= 50 ? 2.5 : 1.2;
  const frames = film.times.length, followed = Math.min(n, FOLLOWED);
  for (let i = 0; i < followed && (layers.paths || layers.states); i++) {
    context.beginPath();
    for (let k = 0; k < frames; k++) {
      const [x, y] = place(film, film.data[2 * (k * n + i)], film.data[2 * (k * n + i) + 1]);
      if (k) context.lineTo(x, y); else context.moveTo(x, y);
      if (layers.states) context.fillRect(x - 2, y - 2, 4, 4);
    }
    if (layers.paths) context.stroke();
  }
  return film.still;
}

// The nearest of the times at which a field was computed.
function nearest(count, t) {
  return Math.round(t * (count - 1));
}

function drawField(context, film, end) {
  const { side, times, ends, data } = film.field, cell = SIDE / side;
  const k = nearest(times, film.times[film.at]), until = ends > 1 ? Math.max(k, end) : 0;
  const first = 2 * side * side * (k * ends + until);
  context.strokeStyle = ARROW;
  context.beginPath();
  for (let i = 0; i < side * side; i++) {
    const x = (i % side + 0.5) * cell, y = SIDE - (Math.floor(i / side) + 0.5) * cell;
    const dx = 1.2 * cell * data[first + 2 * i] / 127, dy = -1.2 * cell * data[first + 2 * i + 1] / 127;
    const length = Math.hypot(dx, dy), head = Math.min(5, 0.4 * length);
    if (length < 1) continue;
    const [ux, uy] = [dx / length, dy / length], [tx, ty] = [x + dx / 2, y + dy / 2];
    context.moveTo(x - dx / 2, y - dy / 2); context.lineTo(tx, ty);
    context.moveTo(tx - head * (ux + uy), ty - head * (uy - ux)); context.lineTo(tx, ty);
    context.lineTo(tx - head * (ux - uy), ty - head * (uy + ux));
  }
  context.stroke();
}

function drawShade(context, film, shade, n) {
  let values = null, side = CELLS, colour = ERROR;
  if (shade === "error") {
    if (!film.error) return;
    side = film.error.side;
    const first = nearest(film.error.times, film.times[film.at]) * side * side;
    values = Array.from(film.error.data.subarray(first, first + side * side), (v) => v / 255);
  } else {
    const points = shade === "data" ? film.real : film.data;
    if (!points) return;
    const first = shade === "now" ? film.at * n : 0, count = shade === "data" ? points.length / 2 : n;
    values = density(film, points, first, count);
    colour = shade === "now" ? rgb(film.colour) : [128, 128, 128];
  }
  const tile = document.createElement("canvas");
  tile.width = tile.height = side;
  const small = tile.getContext("2d"), image = small.createImageData(side, side);
  values.forEach((value, i) => {
    const row = side - 1 - Math.floor(i / side), at = 4 * (row * side + (i % side));
    image.data.set([...colour, 200 * value], at);
  });
  small.putImageData(image, 0, 0);
  context.imageSmoothingEnabled = true;
  context.drawImage(tile, 0, 0, SIDE, SIDE);
}

function rgb(colour) {
  const value = parseInt((colour || "#0072B2").slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

// Points counted in cells and smoothed, the square root of it so that thin parts are seen.
function density(film, points, first, count) {
  let cells = new Float32Array(CELLS * CELLS);
  for (let i = first; i < first + count; i++) {
    const x = Math.floor(CELLS / 2 * (1 + points[2 * i] / film.extent));
    const y = Math.floor(CELLS / 2 * (1 + points[2 * i + 1] / film.extent));
    if (x >= 0 && x < CELLS && y >= 0 && y < CELLS) cells[y * CELLS + x] += 1;
  }
  for (const step of [1, CELLS, 1, CELLS]) cells = smooth(cells, step);
  const most = cells.reduce((a, b) => Math.max(a, b), 1e-9);
  return cells.map((value) => Math.sqrt(value / most));
}

function smooth(cells, step) {
  return cells.map((value, i) => (2 * value + (cells[i - step] || 0) + (cells[i + step] || 0)) / 4);
}
