// A value that outlives a reload, where the browser keeps anything; null leaves nothing of it.

import { useCallback, useState } from "./html.js";

export function useStored(name, initial) {
  const [value, setValue] = useState(() => load(name) ?? initial);
  const set = useCallback((changed) => {
    setValue(changed);
    try {
      if (changed === null) localStorage.removeItem(name);
      else localStorage.setItem(name, JSON.stringify(changed));
    } catch {
      // the browser keeps nothing: the value lasts until a reload
    }
  }, [name]);
  return [value, set];
}

// Forget the values whose names begin so, except for these.
export function keepStored(prefix, names) {
  try {
    for (const name of Object.keys(localStorage))
      if (name.startsWith(prefix) && !names.includes(name)) localStorage.removeItem(name);
  } catch {
    // the browser keeps nothing
  }
}

function load(name) {
  try {
    return JSON.parse(localStorage.getItem(name));
  } catch {
    return null;
  }
}
