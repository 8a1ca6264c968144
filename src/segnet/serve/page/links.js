// The settings as the part of the address after #, so that a link opens the page as it is.

/**
 * @param {string} hash such as "#model=segnet-basic-camvid&view=classes"
 * @returns {Map<string, string>} only names that the page knows, with values that it can take
 */
export function settingsOf(hash) {
  const known = {
    model: /^.{1,200}$/,
    where: /^(server|browser)$/,
    size: /^(0|320|480|640|960)$/,
    view: /^(overlay|classes|uncertainty|image)$/,
    compare: /^(no|\d{1,3})$/,
    opacity: /^(\d{1,2}|100)$/,
    hide: /^\d{1,3}(\.\d{1,3})*$/,
    sample: /^\d{1,3}$/,
  };
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  return new Map([...given].filter(([name, value]) => known[name]?.test(value)));
}

/** The inverse; names whose value is null are left out. */
export function hashOf(settings) {
  const given = Object.entries(settings).filter(([, value]) => value !== null && value !== "");
  return `#${new URLSearchParams(given)}`;
}
