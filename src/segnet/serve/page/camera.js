// The camera, if the browser and its owner allow it.

const REFUSED = {
  NotAllowedError: "The camera was refused. Allow it in the browser's settings for this page, or choose a picture.",
  NotFoundError: "There is no camera here. Choose a picture instead.",
  NotReadableError: "The camera is in use by another program. Close that, or choose a picture.",
};

/**
 * Begins to play the camera in a video element.
 * @throws {Error} whose message says why not, and what to do
 */
export async function startCamera(video) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error(
      "The browser gives the camera only to pages from https or from this machine. " +
        "Choose a picture instead: a phone offers its camera there.",
    );
  }
  try {
    const size = { width: { ideal: 640 }, height: { ideal: 480 } };
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", ...size } });
    await video.play();
  } catch (error) {
    stopCamera(video);
    throw new Error(REFUSED[error.name] ?? `The camera does not start: ${error.message}.`);
  }
}

/** Lets the camera go. */
export function stopCamera(video) {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}
