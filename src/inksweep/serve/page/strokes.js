// Strokes as data, and how they are painted. Nothing here knows the page.
//
// A stroke is {erase, width, points}. Lengths are in units of the canvas's width, so that a drawing can be painted at any
// size; the canvas is RATIO as high as it is wide. A point is [x, y, pressure], pressure 0.5 where the pen has none.

export const RATIO = 3 / 4;

// How wide the picture is that the service gets. A digit over a quarter of it has some 100 pixels, four times what the
// network looks at; a larger picture costs time and shows no more.
const SENT = 400;

const wide = (stroke, pressure, scale) => stroke.width * scale * (0.4 + 1.2 * pressure);

function dot(context, stroke, [x, y, pressure], scale) {
  context.beginPath();
  context.arc(x * scale, y * scale, wide(stroke, pressure, scale) / 2, 0, 2 * Math.PI);
  context.fill();
}

/** One curve through the middles of all segments. */
function even(context, stroke, scale) {
  const { points } = stroke;
  context.lineWidth = wide(stroke, points[0][2], scale);
  context.beginPath();
  context.moveTo(points[0][0] * scale, points[0][1] * scale);
  for (let i = 1; i < points.length - 1; i++) {
    const [x, y] = points[i];
    const [nextX, nextY] = points[i + 1];
    context.quadraticCurveTo(x * scale, y * scale, ((x + nextX) / 2) * scale, ((y + nextY) / 2) * scale);
  }
  const [x, y] = points.at(-1);
  context.lineTo(x * scale, y * scale);
  context.stroke();
}

/** A curve a point, each as wide as the pen was pressed there. */
function pressed(context, stroke, scale) {
  const { points } = stroke;
  let from = points[0];
  for (let i = 1; i < points.length; i++) {
    const [x, y, pressure] = points[i];
    const to = i + 1 < points.length ? [(x + points[i + 1][0]) / 2, (y + points[i + 1][1]) / 2] : [x, y];
    context.lineWidth = wide(stroke, pressure, scale);
    context.beginPath();
    context.moveTo(from[0] * scale, from[1] * scale);
    context.quadraticCurveTo(x * scale, y * scale, to[0] * scale, to[1] * scale);
    context.stroke();
    from = to;
  }
}

/** Paints strokes onto a canvas `scale` pixels wide, in its context's colours; what an eraser touches becomes clear. */
export function paint(context, strokes, scale) {
  context.lineCap = "round";
  context.lineJoin = "round";
  for (const stroke of strokes) {
    context.globalCompositeOperation = stroke.erase ? "destination-out" : "source-over";
    const { points } = stroke;
    if (points.length === 1) dot(context, stroke, points[0], scale);
    else if (points.every(([, , pressure]) => pressure === points[0][2])) even(context, stroke, scale);
    else pressed(context, stroke, scale);
  }
  context.globalCompositeOperation = "source-over";
}

/** The strokes as a PNG, black on white: {blob, width, height}. */
export function picture(strokes) {
  const canvas = document.createElement("canvas");
  canvas.width = SENT;
  canvas.height = SENT * RATIO;
  const context = canvas.getContext("2d");
  context.fillStyle = context.strokeStyle = "#000";
  paint(context, strokes, SENT);
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  // Not toBlob: Chromium encodes there only when it is idle, up to a second later.
  const data = atob(canvas.toDataURL("image/png").split(",")[1]);
  const blob = new Blob([Uint8Array.from(data, (letter) => letter.charCodeAt(0))], { type: "image/png" });
  return { blob, width: canvas.width, height: canvas.height };
}
