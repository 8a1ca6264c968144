// The camera, if the browser and its owner allow it.

const REFUSED = {
  NotAllowedError: "The camera was refused. Allow it in the browser's settings for this page, or choose an image.",
  NotFoundError: "There is no camera here. Choose an image instead.",
  NotReadableError: "The camera is in use by another program. Close that, or choose an image.",
};

/**
 * Begins to play the camera in a video element; lets it go again if it is not expected any more when it comes.
 * @param {HTMLVideoElement} video
 * @param {() => boolean} expected whether the camera has not been stopped meanwhile
 * @throws {Error} whose message says why not, and what to do
 */
export async function startCamera(video, expected) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error(
      "The browser gives the camera only to pages from https or from this machine. " +
        "Choose an image instead: a phone offers its camera there.",
    );
  }
  try {
    const size = { width: { ideal: 640 }, height: { ideal: 480 } };
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", ...size } });
    if (!expected()) {
      release(stream);
      return;
    }
    video.srcObject = stream;
    await video.play();
  } catch (error) {
    if (!expected()) return; // who stopped it let it go, and may have started another one
    stopCamera(video);
    throw new Error(REFUSED[error.name] ?? `The camera does not start: ${error.message}.`);
  }
}

/** Lets the camera go. */
export function stopCamera(video) {
  if (video.srcObject) release(video.srcObject);
  video.srcObject = null;
}

/** What the camera sees now, in its own size. */
export function frameOf(video) {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  brush.drawImage(video, 0, 0);
  return brush.getImageData(0, 0, canvas.width, canvas.height);
}

function release(stream) {
  for (const track of stream.getTracks()) track.stop();
}
