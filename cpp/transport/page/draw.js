// A canvas to draw on with a pointer, or with the arrow keys.

import { h } from "./dom.js";

const SIZE = 280;
const PEN = 22;
const STEP = 14;
const MARGIN = 0.1; // of a cut-out drawing, on each side

/** `changed` is told after each stroke. */
export function drawing(changed) {
  const canvas = h("canvas", { class: "draw", width: SIZE, height: SIZE, tabindex: "0", role: "img",
    "aria-label": "Drawing. Arrow keys move the pen, Space puts it down or lifts it, Delete begins again." });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const pen = { x: SIZE / 2, y: SIZE / 2, down: false };
  const spot = h("span", { class: "pen", hidden: true });
  let white = true; // the ink
  let box = null; // of the ink: [left, top, right, bottom]

  const clear = () => {
    context.fillStyle = white ? "#000" : "#fff";
    context.fillRect(0, 0, SIZE, SIZE);
    box = null;
  };
  const line = (fromX, fromY, x, y) => {
    context.strokeStyle = white ? "#fff" : "#000";
    Object.assign(context, { lineWidth: PEN, lineCap: "round", lineJoin: "round" });
    context.beginPath();
    context.moveTo(fromX, fromY);
    context.lineTo(x, y);
    context.stroke();
    const half = PEN / 2;
    const [left, top, right, bottom] = box ?? [SIZE, SIZE, 0, 0];
    box = [Math.min(left, x - half, fromX - half), Math.min(top, y - half, fromY - half), Math.max(right, x + half, fromX + half), Math.max(bottom, y + half, fromY + half)];
  };
  const place = (event) => {
    const area = canvas.getBoundingClientRect();
    return [((event.clientX - area.left) * SIZE) / area.width, ((event.clientY - area.top) * SIZE) / area.height];
  };
  const showPen = () => {
    spot.hidden = document.activeElement !== canvas || !canvas.matches(":focus-visible");
    spot.style.setProperty("--x", pen.x / SIZE);
    spot.style.setProperty("--y", pen.y / SIZE);
    spot.toggleAttribute("data-down", pen.down);
  };

  let last = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    last = place(event);
    line(...last, ...last);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) {
      const here = place(one);
      line(...last, ...here);
      last = here;
    }
  });
  const lift = () => {
    if (last) changed();
    last = null;
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (move) {
      const [x, y] = [pen.x, pen.y];
      pen.x = Math.min(SIZE, Math.max(0, x + move[0]));
      pen.y = Math.min(SIZE, Math.max(0, y + move[1]));
      if (pen.down) {
        line(x, y, pen.x, pen.y);
        changed();
      }
    } else if (event.key === " ") {
      pen.down = !pen.down;
      if (pen.down) line(pen.x, pen.y, pen.x, pen.y);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      clear();
      changed();
    } else {
      return;
    }
    event.preventDefault();
    showPen();
  });
  for (const name of ["focus", "blur"]) canvas.addEventListener(name, showPen);
  clear();

  /** A promise of the drawing as a PNG; `cut` takes the square around the ink. Null where nothing is drawn. */
  const picture = (cut) => {
    if (!box) return null;
    const out = h("canvas", { width: SIZE, height: SIZE });
    const to = out.getContext("2d");
    to.fillStyle = white ? "#000" : "#fff";
    to.fillRect(0, 0, SIZE, SIZE);
    if (cut) {
      const side = Math.max(box[2] - box[0], box[3] - box[1]) * (1 + 2 * MARGIN);
      to.drawImage(canvas, (box[0] + box[2] - side) / 2, (box[1] + box[3] - side) / 2, side, side, 0, 0, SIZE, SIZE);
    } else {
      to.drawImage(canvas, 0, 0);
    }
    return new Promise((resolve) => out.toBlob(resolve, "image/png"));
  };
  return { element: h("div", { class: "sheet" }, canvas, spot), clear, picture, setInk: (is) => { white = is; clear(); } };
}
