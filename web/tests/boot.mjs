// Boots an ISO on v86 and writes what comes from COM1 to a file, until the self-tests have ended.
//
//     node web/tests/boot.mjs ISO COM1 SECONDS [acpi]
//
// Exits with 0 once the kernel has printed its last line, with 3 when SECONDS have passed before that.
import { createWriteStream, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { V86 } from "v86";

const [iso, com1, seconds, ...machine] = process.argv.slice(2);
if (!(Number(seconds) > 0) || machine.some((word) => word !== "acpi")) {
    console.error("usage: node web/tests/boot.mjs ISO COM1 SECONDS [acpi]");
    process.exit(2);
}

/** The file as v86 takes it: an ArrayBuffer of its own. */
function image(path) {
    const bytes = readFileSync(path);
    return { buffer: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) };
}

const log = createWriteStream(com1);
const end = (status) => log.end(() => process.exit(status));

const emulator = new V86({
    wasm_path: fileURLToPath(new URL("../node_modules/v86/build/v86.wasm", import.meta.url)),
    memory_size: 128 << 20,
    vga_memory_size: 8 << 20,
    bios: image("/usr/share/seabios/bios.bin"),
    vga_bios: image("/usr/share/seabios/vgabios-stdvga.bin"),
    cdrom: image(iso),
    acpi: machine.includes("acpi"),
    disable_speaker: true,
    autostart: true,
});

let line = "";
emulator.add_listener("serial0-output-byte", (byte) => {
    log.write(Uint8Array.of(byte));
    if (byte !== 10) {
        line += String.fromCharCode(byte);
        return;
    }
    if (/^(selftest: |panic: |cannot start)/.test(line)) {
        // A panic goes on for a page.
        setTimeout(() => end(0), 1000);
    }
    line = "";
});

setTimeout(() => end(3), Number(seconds) * 1000);
