// Camera and video files: frame after frame through the model, as fast as it goes.

const REFUSED = {
  NotAllowedError: "The camera was refused. Allow it in the browser's settings for this page, or choose an image.",
  NotFoundError: "There is no camera here. Choose an image instead.",
  NotReadableError: "Another program uses the camera. Close it, or choose an image.",
};

/**
 * Begins to play the camera in a video element.
 * @param {AbortSignal} signal a camera that comes after it was stopped is let go at once
 * @throws {Error} whose message says why not, and what to do
 */
export async function startCamera(video, signal) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error(
      "The browser gives the camera only to pages from https or from this machine. " +
        "Choose an image instead: a phone offers its camera there.",
    );
  }
  let stream;
  try {
    const size = { width: { ideal: 1280 }, height: { ideal: 720 } };
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", ...size } });
  } catch (error) {
    signal.throwIfAborted();
    throw new Error(REFUSED[error.name] ?? `The camera does not start: ${error.message}.`);
  }
  if (signal.aborted) for (const track of stream.getTracks()) track.stop();
  signal.throwIfAborted();
  video.srcObject = stream;
  stream.getVideoTracks()[0]?.addEventListener("ended", () => video.dispatchEvent(new Event("unplugged")));
  await video.play();
}

/**
 * Begins to play a video file.
 * @throws {Error} the browser does not play it
 */
export async function startFile(video, url, signal) {
  video.src = url;
  await new Promise((resolve, reject) => {
    video.onloadeddata = resolve;
    video.onerror = () => reject(new Error("unplayable"));
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  await video.play();
}

/** Lets camera or file go. */
export function stopVideo(video) {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.onloadeddata = video.onerror = null;
  video.pause();
  video.srcObject = null;
  video.removeAttribute("src");
  video.load();
}

/**
 * Gives frames to `step` until the signal; a video at rest gives one frame for each place it is moved to.
 * @param {(frame: ImageBitmap, framesPerSecond: () => number) => Promise<void>} step resolves when the frame is shown
 * @param {() => number} version of the settings; a video at rest is shown again when it changes
 */
export async function eachFrame(video, signal, step, version) {
  const meter = rate();
  for (let seen = null; !signal.aborted; ) {
    const now = `${video.currentTime} ${version()}`;
    if (video.readyState < 2 || video.seeking || (video.paused && now === seen)) {
      meter.rest();
      await new Promise((wake) => setTimeout(wake, 40));
      continue;
    }
    const frame = await createImageBitmap(video).catch(() => null); // null: the video has no frame yet
    if (frame) {
      seen = now;
      await step(frame, () => meter.tick());
    } else await new Promise((wake) => setTimeout(wake, 40));
  }
}

/** Frames per second over the last frames. */
export function rate(clock = () => performance.now()) {
  let last = null;
  let mean = null;
  return {
    rest: () => (last = null),
    tick() {
      const now = clock();
      if (last !== null) mean = mean === null ? now - last : mean + 0.2 * (now - last - mean);
      last = now;
      return mean === null ? 0 : 1000 / mean;
    },
  };
}
