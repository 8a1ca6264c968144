// What the page says: errors that stay until they are closed, progress with a way out, words for screen readers.

const $ = (id) => document.getElementById(id);
let again = null; // what "Try again" does
let timer = null;

/**
 * Shows an error, or a note when `calm`.
 * @param {string} text one or more sentences: what happened, and what to do
 * @param {{retry?: () => void, calm?: boolean}} options
 */
export function tell(text, { retry = null, calm = false } = {}) {
  again = retry;
  $("message").classList.toggle("calm", calm);
  $("message-text").textContent = text;
  $("retry").hidden = !retry;
  $("message").hidden = false;
}

/** Takes the message away. */
export function quiet() {
  $("message").hidden = true;
  $("message-text").textContent = "";
}

$("dismiss").onclick = quiet;
$("retry").onclick = () => {
  const act = again;
  quiet();
  act?.();
};

/**
 * Shows what is running, with the seconds that it takes; an empty text ends it.
 * @param {string} text
 * @param {number} [share] 0..1 that is done, where it is known
 */
export function progress(text, share) {
  const bar = $("progress-bar");
  if (share === undefined) bar.removeAttribute("value");
  else bar.value = share;
  if (!text) {
    clearInterval(timer);
    timer = null;
    $("progress").hidden = true;
    return;
  }
  $("progress").hidden = false;
  $("progress").dataset.text = text;
  if (timer) clearInterval(timer);
  const begun = performance.now();
  const count = () => {
    const seconds = (performance.now() - begun) / 1000;
    $("progress-text").textContent = seconds < 1 || share !== undefined ? text : `${text} (${seconds.toFixed(0)} s)`;
  };
  count();
  timer = setInterval(count, 500);
}

/** Says something to screen readers only. */
export function speak(text) {
  $("spoken").textContent = text;
}
