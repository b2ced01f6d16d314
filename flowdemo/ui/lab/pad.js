// A pad that sprays points where it is drawn on; its value is their table, "x,y" a line.
const canvas = element.querySelector("canvas"), count = element.querySelector(".fd-count");
const EXTENT = 5, SPREAD = 0.25, EACH = 6, MOST = 5000;
let points = [], drawing = false;

function show() {
  const context = canvas.getContext("2d"), half = canvas.width / 2;
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.strokeStyle = "rgba(128,128,128,0.35)";
  context.strokeRect(0.5, 0.5, canvas.width - 1, canvas.height - 1);
  context.beginPath();
  context.moveTo(half, 0); context.lineTo(half, canvas.height);
  context.moveTo(0, half); context.lineTo(canvas.width, half);
  context.stroke();
  context.fillStyle = "#0072B2";
  points.forEach(([x, y]) => context.fillRect(half * (1 + x / EXTENT) - 1.5, half * (1 - y / EXTENT) - 1.5, 3, 3));
  count.textContent = points.length ? `${points.length}` : "";
}

// The sum of three draws: near enough to a Gaussian, and never far out.
function jitter() {
  return SPREAD * (Math.random() + Math.random() + Math.random() - 1.5);
}

function spray(event) {
  const box = canvas.getBoundingClientRect();
  const x = EXTENT * (2 * (event.clientX - box.left) / box.width - 1);
  const y = EXTENT * (1 - 2 * (event.clientY - box.top) / box.height);
  for (let k = 0; k < EACH && points.length < MOST; k++) points.push([x + jitter(), y + jitter()]);
  show();
}

function tell() {
  props.value = points.map(([x, y]) => `${x.toFixed(4)},${y.toFixed(4)}`).join("\n");
  trigger("input");
}

canvas.addEventListener("pointerdown", (event) => {
  drawing = true;
  canvas.setPointerCapture(event.pointerId);
  spray(event);
});
canvas.addEventListener("pointermove", (event) => { if (drawing) spray(event); });
["pointerup", "pointercancel"].forEach((name) => canvas.addEventListener(name, () => {
  if (drawing) tell();
  drawing = false;
}));
element.querySelector(".fd-clear").addEventListener("click", () => { points = []; show(); tell(); });
show();
