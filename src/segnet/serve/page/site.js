// site.json: the models and samples that this copy of the page offers.

/**
 * @returns {Promise<object>} its content
 * @throws {Error} with a message for people
 */
export async function loadSite() {
  let response;
  try {
    response = await fetch("site.json");
  } catch {
    throw new Error("The list of models (site.json) did not load. Check that the server is running and that you are online.");
  }
  if (!response.ok) {
    throw new Error(`The list of models (site.json) did not load: ${response.status} ${response.statusText}. If this is the static demo, write its folder again with segnet export --to web.`);
  }
  const site = await response.json().catch(() => null);
  if (!site?.models?.length) {
    throw new Error("The list of models (site.json) is not what this page expects: a proxy may have sent a page of its own, or the files are of different versions. Reload, or write the demo again.");
  }
  return site;
}

/** A sample's file; throws an Error with a message for people. */
export async function loadSample({ name, url }, signal) {
  let response = null;
  try {
    response = await fetch(url, { signal });
    if (response.ok) return await response.blob();
  } catch (error) {
    if (error.name === "AbortError") throw error;
  }
  const why = response ? `${response.status} ${response.statusText}` : "the server does not answer. Check that it is running and that you are online";
  throw new Error(`The sample '${name}' did not load: ${why}.`);
}
