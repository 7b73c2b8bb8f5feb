"use strict";
const FRAME_WIDTH = 640;
const FACES_OPEN = 6;  // the bars of the others are folded away
const UNCERTAIN_COLOUR = "#969696";  // UNCERTAIN_GREY of emotion/palette.py; a test holds them equal
const PRIORS = { training: "as frequent as in training", even: "equally frequent" };
const element = (id) => document.getElementById(id);
const canvas = element("canvas"), video = element("video");
let colours = {}, maxUploadBytes = Infinity, camera = null, request = 0, lastSaid = "";
let shown = null;  // the picture that is seen: what to draw, its result, and its file, which a camera's frame lacks

const colourOf = (label) => colours[label] || UNCERTAIN_COLOUR;
const percent = (share) => `${Math.round(100 * share)} %`;
const complain = (text) => { element("problem").textContent = text; };
const withPrior = (path) => (element("prior").value ? `${path}?prior=${encodeURIComponent(element("prior").value)}` : path);

fetch("about").then((answer) => answer.json()).then((about) => {
  colours = about.colours;
  maxUploadBytes = about.max_upload_bytes;
  element("prior").replaceChildren(...about.priors.map((name) => new Option(PRIORS[name] || name, name, false, name === about.prior)));
});

// --- pictures -------------------------------------------------------------------------------------------------------
async function showPicture(file) {
  stopCamera();
  complain("");
  const mine = ++request;
  if (file.size > maxUploadBytes) { complain(`The picture is larger than ${maxUploadBytes / 1e6} MB.`); return; }
  element("status").textContent = "Looking ...";
  try {
    const answer = await fetch(withPrior("predict"), { method: "POST", body: file });
    const result = await answer.json();
    if (mine !== request) return;
    if (!answer.ok) throw new Error(`${file.name || "The picture"}: ${result.error}`);
    const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => null);
    if (mine !== request) return;
    show(bitmap, result, file);
  } catch (error) {
    if (mine !== request) return;
    element("status").textContent = "Nothing to show.";
    element("faces").replaceChildren();
    element("used").textContent = "";
    element("save").hidden = true;
    complain(error.message);
  }
}

async function showExample() {
  const mine = ++request;
  const answer = await fetch("example.jpg");
  const picture = await answer.blob();
  if (mine === request) showPicture(new File([picture], "example.jpg", { type: picture.type }));
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
    camera = { stream, socket: openSocket(), times: [], frame: document.createElement("canvas") };
    element("webcam").setAttribute("aria-pressed", "true");
    element("webcam").textContent = "Stop webcam";
  } catch (error) {
    if (stream) stop(stream);
    if (isLate()) return;
    stopCamera();
    complain(navigator.mediaDevices ? `The webcam cannot be used: ${error.message}` : "The browser allows the webcam on localhost and https only.");
  }
}

function openSocket() {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/${withPrior("live")}`);
  const isCurrent = () => camera && camera.socket === socket;
  socket.onopen = () => { if (isCurrent()) sendFrame(); };
  socket.onmessage = (message) => { if (isCurrent()) receiveResult(JSON.parse(message.data)); };
  socket.onclose = (event) => { if (isCurrent()) { stopCamera(); complain(event.reason ? `The server ended the connection: ${event.reason}.` : "The connection to the server was lost."); } };
  return socket;
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
  const mine = camera.socket;
  frame.toBlob((blob) => { if (!camera || camera.socket !== mine || mine.readyState !== WebSocket.OPEN) return; if (blob) mine.send(blob); else requestAnimationFrame(sendFrame); }, "image/jpeg", 0.85);
}

function receiveResult(result) {
  if (result.error) complain(result.error); else show(camera.frame, result, null);
  const now = performance.now();
  camera.times = [...camera.times.filter((time) => now - time < 2000), now];
  if (camera.times.length > 1) {
    const seconds = (now - camera.times[0]) / 1000;
    element("speed").textContent = `${Math.round((camera.times.length - 1) / seconds)} frames/s`;
  }
  requestAnimationFrame(sendFrame);
}

// --- the result -------------------------------------------------------------------------------------------------------
function show(picture, result, file) {
  shown = { picture, result, file };
  element("hint").hidden = true;
  redraw();
  list(result);
  element("used").textContent = `Prior: ${result.prior}${result.prior in PRIORS ? ` (labels taken to be ${PRIORS[result.prior]})` : ""}.`;
  element("save").hidden = !file;
}

function redraw() {
  if (!shown) return;
  const space = { width: element("drop").clientWidth, height: Math.max(240, 0.75 * window.innerHeight) };
  drawOverlay(canvas, shown.picture, shown.result, space, colourOf);
  canvas.setAttribute("aria-label", `Picture with ${summary(shown.result)}`);
}

function summary(result) {
  if (result.faces.length === 0) return "no face found";
  if (result.faces.length === 1) return `1 face: ${result.faces[0].label}`;
  return `${result.faces.length} faces: ${result.faces.map((face) => face.label).join(", ")}`;  // without their numbers, which would sound like counts
}

function list(result) {
  const said = summary(result);
  if (said !== lastSaid || !camera) element("status").textContent = said[0].toUpperCase() + said.slice(1) + ".";  // what is read out
  lastSaid = said;
  const items = element("faces");
  while (items.children.length > result.faces.length) items.lastChild.remove();
  while (items.children.length < result.faces.length) items.append(newFace(result.faces[items.children.length], items.children.length));
  result.faces.forEach((face, index) => fill(items.children[index], face, result.faces.length > 1));
}

function newFace(face, index) {
  const item = document.createElement("li"), bars = document.createElement("dl");
  item.innerHTML = '<details><summary><h2><span class="number"></span><span class="name"></span><span class="percent"></span></h2></summary></details>';
  item.firstChild.open = index < FACES_OPEN;
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
  item.firstChild.append(bars);
  return item;
}

function fill(item, face, isNumbered) {
  const number = item.querySelector(".number"), colour = colourOf(face.label);
  number.textContent = isNumbered ? face.face : "";
  number.style.background = colour;
  number.style.color = inkOn(colour);
  item.querySelector(".name").textContent = face.label;
  item.querySelector(".percent").textContent = percent(face.confidence);
  const values = Object.values(face.probabilities);
  item.querySelectorAll(".fill").forEach((bar, index) => { bar.style.width = `${100 * values[index]}%`; });
  item.querySelectorAll(".value").forEach((value, index) => { value.textContent = percent(values[index]); });
}

// --- saving -----------------------------------------------------------------------------------------------------------
function save(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const stem = () => (shown.file.name || "picture").replace(/\.[^.]*$/, "");

function saveJson() {
  const result = { ...shown.result, path: shown.file.name || "picture" };
  save(new Blob([`${JSON.stringify(result, null, 2)}\n`], { type: "application/json" }), `${stem()}.json`);
}

async function savePicture() {
  complain("");
  const { file, result } = shown;
  try {
    const answer = await fetch(`annotated?prior=${encodeURIComponent(result.prior)}`, { method: "POST", body: file });
    if (!answer.ok) throw new Error((await answer.json()).error);
    const picture = await answer.blob();
    save(picture, `${stem()}-annotated.${picture.type === "image/jpeg" ? "jpg" : "png"}`);
  } catch (error) {
    complain(`The annotated picture cannot be made: ${error.message}`);
  }
}

// --- events -----------------------------------------------------------------------------------------------------------
element("file").addEventListener("change", (event) => { if (event.target.files[0]) showPicture(event.target.files[0]); event.target.value = ""; });
element("webcam").addEventListener("click", () => { if (camera) stopCamera(); else startCamera(); });
element("example").addEventListener("click", () => showExample().catch((error) => complain(error.message)));
element("save-picture").addEventListener("click", savePicture);
element("save-json").addEventListener("click", saveJson);
element("prior").addEventListener("change", () => {
  if (camera) { const old = camera.socket; camera.socket = openSocket(); old.close(); } else if (shown && shown.file) showPicture(shown.file);
});
window.addEventListener("resize", redraw);
document.addEventListener("paste", (event) => { const file = event.clipboardData.files[0]; if (file) showPicture(file); });
const drop = element("drop");
for (const name of ["dragover", "dragenter"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => { event.preventDefault(); const file = event.dataTransfer.files[0]; if (file) showPicture(file); });
