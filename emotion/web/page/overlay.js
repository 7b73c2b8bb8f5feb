"use strict";
// Boxes and labels over the picture. As in annotated files, nothing lies upon a face: a label goes above its face,
// below or beside it; where none of these is free, the face keeps its number only, which the list beside it explains.

const LETTERS = 'system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif';

// Draws a result over a picture in the size at which the canvas is seen, so that text is as large on a telephone.
function drawOverlay(canvas, picture, result, space, colourOf) {
  const scale = Math.min(space.width / result.width, space.height / result.height, 8), sharp = window.devicePixelRatio || 1;
  const width = Math.max(1, Math.round(result.width * scale)), height = Math.max(1, Math.round(result.height * scale));
  const context = canvas.getContext("2d");
  canvas.width = Math.round(width * sharp);
  canvas.height = Math.round(height * sharp);
  canvas.style.width = `${width}px`;
  if (picture) context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  context.scale(sharp, sharp);
  const tags = placeTags(context, result, scale, width, height);
  for (const tag of [...tags].reverse()) drawBox(context, tag, colourOf(tag.face.label));
  for (const tag of [...tags].reverse()) if (tag.place) drawTag(context, tag, colourOf(tag.face.label));
  return tags;
}

// Finds each face's place for its label, the first faces first.
function placeTags(context, result, scale, width, height) {
  const many = result.faces.length > 1;
  const tags = result.faces.filter((face) => face.box).map((face) => {
    const side = Math.min(face.box.width, face.box.height) * scale, size = Math.max(11, Math.min(22, side / 8));
    const stroke = Math.max(1.5, size / 8);
    const around = { left: face.box.left * scale - stroke, top: face.box.top * scale - stroke, width: face.box.width * scale + 2 * stroke, height: face.box.height * scale + 2 * stroke };
    return { face, size, stroke, around, text: "", place: null };
  });
  const taken = tags.map((tag) => tag.around);
  const free = (rect) => rect.left >= 0 && rect.top >= 0 && rect.left + rect.width <= width && rect.top + rect.height <= height
    && !taken.some((other) => rect.left < other.left + other.width && other.left < rect.left + rect.width && rect.top < other.top + other.height && other.top < rect.top + rect.height);
  for (const tag of tags) {
    context.font = `600 ${tag.size}px ${LETTERS}`;
    const title = `${tag.face.label} ${Math.round(100 * tag.face.confidence)} %`;
    for (const text of many ? [`${tag.face.face} ${title}`, `${tag.face.face}`] : [title]) {
      const sides = { width: Math.ceil(context.measureText(text).width + tag.size * 0.7), height: Math.ceil(tag.size * 1.4) };
      const place = placesAround(tag.around, sides, width, height).find(free);
      if (place || (many && text === `${tag.face.face}`)) {  // a number at least, in the corner of a box without room around it
        tag.text = text;
        tag.place = place || within({ left: tag.around.left, top: tag.around.top, ...sides }, width, height);
        if (place) taken.push(place);
        break;
      }
    }
  }
  return tags;
}

function placesAround(box, sides, width, height) {
  const right = box.left + box.width, bottom = box.top + box.height, places = [];
  for (const top of [box.top - sides.height, bottom]) for (const left of [box.left, right - sides.width]) places.push({ left, top, ...sides });
  for (const left of [right, box.left - sides.width]) for (const top of [box.top, bottom - sides.height]) places.push({ left, top, ...sides });
  return places.map((place) => within(place, width, height));
}

function within(rect, width, height) {
  return { ...rect, left: Math.max(0, Math.min(rect.left, width - rect.width)), top: Math.max(0, Math.min(rect.top, height - rect.height)) };
}

function drawBox(context, tag, colour) {
  const { left, top, width, height } = tag.around;
  context.lineWidth = tag.stroke;
  context.strokeStyle = colour;
  context.strokeRect(left + tag.stroke / 2, top + tag.stroke / 2, width - tag.stroke, height - tag.stroke);
}

function drawTag(context, tag, colour) {
  const { left, top, width, height } = tag.place;
  context.fillStyle = colour;
  context.fillRect(left, top, width, height);
  context.fillStyle = inkOn(colour);
  context.font = `600 ${tag.size}px ${LETTERS}`;
  context.textBaseline = "middle";
  context.fillText(tag.text, left + tag.size * 0.35, top + height * 0.54);
}

// Black or white, whichever is easier to read.
function inkOn(colour) {
  const [red, green, blue] = [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue > 100 ? "#000" : "#fff";
}
