"use strict";
// Okabe & Ito's colours, in the labels' order; the same as in emotion/inference/annotation.py.
const COLOURS = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"];
const FRAME_WIDTH = 640;
const FACES_LISTED = 6;
const element = (id) => document.getElementById(id);
const canvas = element("canvas"), context = canvas.getContext("2d"), video = element("video");
let labels = [], maxUploadBytes = Infinity, camera = null, request = 0, lastSaid = "";

const colourOf = (label) => { const index = labels.indexOf(label); return index < 0 ? "#969696" : COLOURS[index % COLOURS.length]; };
const percent = (share) => `${Math.round(100 * share)} %`;
const complain = (text) => { element("problem").textContent = text; };

fetch("about").then((answer) => answer.json()).then((about) => { labels = about.labels; maxUploadBytes = about.max_upload_bytes; });

// --- pictures -------------------------------------------------------------------------------------------------------
async function showPicture(file) {
  stopCamera();
  complain("");
  const mine = ++request;
  if (file.size > maxUploadBytes) { complain(`The picture is larger than ${maxUploadBytes / 1e6} MB.`); return; }
  element("status").textContent = "Looking ...";
  try {
    const answer = await fetch("predict", { method: "POST", body: file });
    const result = await answer.json();
    if (mine !== request) return;
    if (!answer.ok) throw new Error(`${file.name || "The picture"}: ${result.error}`);
    const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => null);
    draw(bitmap, result);
    list(result);
  } catch (error) {
    if (mine !== request) return;
    element("status").textContent = "Nothing to show.";
    element("faces").replaceChildren();
    complain(error.message);
  }
}

// --- webcam: one frame is in flight at a time --------------------------------------------------------------------------
async function startCamera() {
  complain("");
  const mine = ++request;
  let stream = null;
  const isLate = () => mine !== request;  // a picture or another click came while the browser asked for permission
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: FRAME_WIDTH } }, audio: false });
    if (isLate()) { stop(stream); return; }
    video.srcObject = stream;
    await video.play();  // before the socket: a frame needs the video's size
    if (isLate()) { stop(stream); return; }
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
    camera = { stream, socket, times: [], frame: document.createElement("canvas") };
    socket.onopen = sendFrame;
    socket.onmessage = (message) => receiveResult(JSON.parse(message.data));
    socket.onclose = (event) => { if (camera && camera.socket === socket) { stopCamera(); complain(event.reason ? `The server ended the connection: ${event.reason}.` : "The connection to the server was lost."); } };
    element("webcam").setAttribute("aria-pressed", "true");
    element("webcam").textContent = "Stop webcam";
  } catch (error) {
    if (stream) stop(stream);
    if (isLate()) return;
    stopCamera();
    complain(navigator.mediaDevices ? `The webcam cannot be used: ${error.message}` : "The browser allows the webcam on localhost and https only.");
  }
}

function stop(stream) {
  stream.getTracks().forEach((track) => track.stop());
  if (video.srcObject === stream) video.srcObject = null;
}

function stopCamera() {
  if (!camera) return;
  const old = camera;
  camera = null;
  stop(old.stream);
  old.socket.close();
  element("webcam").setAttribute("aria-pressed", "false");
  element("webcam").textContent = "Start webcam";
  element("speed").textContent = "";
}

function sendFrame() {
  if (!camera || camera.socket.readyState !== WebSocket.OPEN) return;
  if (!video.videoWidth) { requestAnimationFrame(sendFrame); return; }
  const scale = Math.min(1, FRAME_WIDTH / video.videoWidth), frame = camera.frame;
  frame.width = Math.round(video.videoWidth * scale);
  frame.height = Math.round(video.videoHeight * scale);
  frame.getContext("2d").drawImage(video, 0, 0, frame.width, frame.height);
  const mine = camera;
  frame.toBlob((blob) => { if (camera !== mine) return; if (blob) camera.socket.send(blob); else requestAnimationFrame(sendFrame); }, "image/jpeg", 0.85);
}

function receiveResult(result) {
  if (!camera) return;
  if (result.error) { complain(result.error); } else { draw(camera.frame, result); list(result); }
  const now = performance.now();
  camera.times = [...camera.times.filter((time) => now - time < 2000), now];
  if (camera.times.length > 1) {
    const seconds = (now - camera.times[0]) / 1000;
    element("speed").textContent = `${Math.round((camera.times.length - 1) / seconds)} frames/s`;
  }
  requestAnimationFrame(sendFrame);
}

// --- drawing ----------------------------------------------------------------------------------------------------------
function draw(picture, result) {
  const width = Math.max(320, Math.min(1600, result.width)), scale = width / result.width;
  canvas.width = width;
  canvas.height = Math.round(result.height * scale);
  if (picture) context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  element("hint").hidden = true;
  for (const face of [...result.faces].reverse()) if (face.box) drawFace(face, scale);
  canvas.setAttribute("aria-label", `Picture with ${summary(result)}`);
}

function drawFace(face, scale) {
  const { left, top, width, height } = face.box;
  const x = left * scale, y = top * scale, text = `${face.label} ${percent(face.confidence)}`;
  const size = Math.max(13, Math.min(30, (width * scale) / 8)), colour = colourOf(face.label);
  context.lineWidth = Math.max(2, size / 6);
  context.strokeStyle = colour;
  context.strokeRect(x, y, width * scale, height * scale);
  context.font = `600 ${size}px system-ui, "DejaVu Sans", sans-serif`;
  const textY = y > size * 1.5 ? y - size * 1.5 : Math.max(y, 0), textX = Math.max(0, x - context.lineWidth / 2);
  context.fillStyle = colour;
  context.fillRect(textX, textY, context.measureText(text).width + size * 0.8, size * 1.5);
  context.fillStyle = brightness(colour) > 110 ? "#000" : "#fff";
  context.textBaseline = "middle";
  context.fillText(text, textX + size * 0.4, textY + size * 0.78);
}

function brightness(colour) {
  const [red, green, blue] = [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue;
}

const summary = (result) => result.faces.length === 0 ? "no face found"
  : `${result.faces.length} ${result.faces.length === 1 ? "face" : "faces"}: ${result.faces.slice(0, FACES_LISTED).map((face) => face.label).join(", ")}`;

function list(result) {
  const said = summary(result);
  if (said !== lastSaid || !camera) element("status").textContent = said[0].toUpperCase() + said.slice(1) + ".";
  lastSaid = said;
  const items = element("faces"), shown = result.faces.slice(0, FACES_LISTED);
  while (items.children.length > shown.length) items.lastChild.remove();
  while (items.children.length < shown.length) items.append(newFace(shown[items.children.length]));
  shown.forEach((face, index) => fill(items.children[index], face));
}

function newFace(face) {
  const item = document.createElement("li"), bars = document.createElement("dl");
  item.innerHTML = '<h2><span class="dot"></span><span class="name"></span><span class="percent"></span></h2>';
  bars.className = "bars";
  for (const label of Object.keys(face.probabilities)) {
    const name = document.createElement("dt"), cell = document.createElement("dd");
    const track = document.createElement("span"), fill = document.createElement("span"), value = document.createElement("span");
    name.textContent = label;
    track.className = "track";
    track.setAttribute("aria-hidden", "true");
    fill.className = "fill";
    fill.style.background = colourOf(label);
    track.append(fill);
    value.className = "value";
    cell.append(track, value);
    bars.append(name, cell);
  }
  item.append(bars);
  return item;
}

function fill(item, face) {
  item.querySelector(".dot").style.background = colourOf(face.label);
  item.querySelector(".name").textContent = face.label;
  item.querySelector(".percent").textContent = percent(face.confidence);
  const values = Object.values(face.probabilities);
  item.querySelectorAll(".fill").forEach((bar, index) => { bar.style.width = `${100 * values[index]}%`; });
  item.querySelectorAll(".value").forEach((value, index) => { value.textContent = percent(values[index]); });
}

// --- events -----------------------------------------------------------------------------------------------------------
element("file").addEventListener("change", (event) => { if (event.target.files[0]) showPicture(event.target.files[0]); event.target.value = ""; });
element("webcam").addEventListener("click", () => { if (camera) stopCamera(); else startCamera(); });
document.addEventListener("paste", (event) => { const file = event.clipboardData.files[0]; if (file) showPicture(file); });
const drop = element("drop");
for (const name of ["dragover", "dragenter"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => { event.preventDefault(); const file = event.dataTransfer.files[0]; if (file) showPicture(file); });
