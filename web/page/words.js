// The words that the page adds to the kernel's command line. GRUB reads them from an environment block, a file of 1024 bytes in
// the ISO, so the ISO is fetched once and serves every machine.

const HEAD = "# GRUB Environment Block\n";
const LENGTH = 1024;

/**
 * Writes `variables` into the environment block of an ISO.
 *
 * @param {ArrayBuffer} iso The ISO, which is changed.
 * @param {Object<string, string>} variables
 */
export function writeWords(iso, variables) {
    const bytes = new Uint8Array(iso);
    const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`);
    const text = (HEAD + lines.join("")).padEnd(LENGTH, "#");
    if (text.length !== LENGTH) {
        throw new Error("the words for the kernel's command line are too long");
    }
    bytes.set(new TextEncoder().encode(text), find(bytes, new TextEncoder().encode(HEAD)));
}

/** Where the block is: files begin at sectors of 2048 bytes. */
function find(bytes, head) {
    for (let at = 0; at + LENGTH <= bytes.length; at += 2048) {
        if (head.every((byte, index) => bytes[at + index] === byte)) {
            return at;
        }
    }
    throw new Error("strata.iso has no environment block");
}
