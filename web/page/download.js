// Fetches what a machine is made of, and says how far it has come.

import sizes from "./sizes.js";

/**
 * Fetches all files.
 *
 * @param {(loaded: number, total: number) => void} progress Called with bytes as they arrive.
 * @returns {Promise<Object<string, ArrayBuffer>>} The files' contents by name.
 */
export async function download(progress) {
    const names = Object.keys(sizes);
    const total = names.reduce((sum, name) => sum + sizes[name], 0);
    let loaded = 0;
    const others = new AbortController();
    const files = names.map((name) =>
        fetchFile(name, others.signal, (count) => {
            loaded += count;
            progress(loaded, total);
        }),
    );
    try {
        const contents = await Promise.all(files);
        return Object.fromEntries(names.map((name, index) => [name, contents[index]]));
    } catch (error) {
        // One that still arrives would report progress over the failure.
        others.abort();
        throw error;
    }
}

async function fetchFile(name, signal, progress) {
    const answer = await fetch(name, { signal }).catch((error) => {
        throw new Error(`${name} could not be fetched: ${error.message}`);
    });
    if (!answer.ok) {
        throw new Error(`${name} could not be fetched: the server answers ${answer.status} ${answer.statusText}`);
    }
    const bytes = new Uint8Array(sizes[name]);
    let length = 0;
    const reader = answer.body.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
        if (length + part.value.length <= bytes.length) {
            bytes.set(part.value, length);
        }
        length += part.value.length;
        if (!signal.aborted) {
            progress(part.value.length);
        }
    }
    if (length !== bytes.length) {
        throw new Error(`${name} has ${length} bytes in place of ${bytes.length}: the page was copied in part, or is old`);
    }
    return bytes.buffer;
}
