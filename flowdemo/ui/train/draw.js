// A pad for one symbol; its value is a PNG as a data address, empty while nothing is drawn.
const canvas = element.querySelector("canvas"), context = canvas.getContext("2d");
const WIDTH = 18;
let strokes = [], sent = [], drawing = false;

function show() {
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  Object.assign(context, { lineWidth: WIDTH, lineCap: "round", lineJoin: "round", strokeStyle: "#000000" });
  strokes.forEach((stroke) => {
    context.beginPath();
    stroke.forEach(([x, y], k) => (k ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.lineTo(...stroke[stroke.length - 1]); // a dot is a line to where it began
    context.stroke();
  });
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  return [canvas.width * (event.clientX - box.left) / box.width, canvas.height * (event.clientY - box.top) / box.height];
}

function tell() {
  props.value = strokes.length ? canvas.toDataURL("image/png") : "";
  trigger("input");
}

canvas.addEventListener("pointerdown", (event) => {
  drawing = true;
  canvas.setPointerCapture(event.pointerId);
  strokes.push([place(event)]);
  show();
});
canvas.addEventListener("pointermove", (event) => {
  if (!drawing) return;
  strokes[strokes.length - 1].push(place(event));
  show();
});
["pointerup", "pointercancel"].forEach((name) => canvas.addEventListener(name, () => {
  if (drawing) tell();
  drawing = false;
}));
element.querySelector(".fd-clear").addEventListener("click", () => { strokes = []; show(); tell(); });
element.querySelector(".fd-back").addEventListener("click", () => { strokes.pop(); show(); tell(); });
// A drawing that is added leaves the pad at once, for the next one. The server empties the value when it has taken
// it; one that it refuses comes back. Until then another press does nothing.
document.addEventListener("click", (event) => {
  if (!event.target.closest("#f-draw") || sent.length) return;
  [sent, strokes] = [strokes, []];
  show();
});
document.addEventListener("fd-drawing-refused", () => { strokes = [...sent, ...strokes]; sent = []; show(); tell(); });
watch("value", () => {
  if (props.value) return;
  sent = [];
  if (strokes.length && !drawing) tell();
});
show();
