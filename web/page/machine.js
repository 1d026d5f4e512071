// One emulated PC after the other: made, listened to, and thrown away.

import { writeWords } from "./words.js";

/** Lines of COM1 that say how far the kernel is. */
const SIGNS = [
    ["started", /^Strata \S+ for /],
    ["ready", /^ready: arch=\S+ mode=(?<mode>\S+) .*\bram_kib=(?<ram>\d+)/],
    ["tests", /^selftest: (?<passed>\d+) passed, (?<failed>\d+) failed/],
    ["panic", /^panic: (?<what>.*)/],
    ["refusal", /^cannot start: (?<what>.*)/],
];

export class Machine {
    #emulator;
    #loaded;
    #keys = false;
    #line = "";
    #early = "";
    #ready = false;

    /**
     * @param {object} parts
     * @param {Function} parts.V86 The emulator.
     * @param {WebAssembly.Module} parts.module Its CPU.
     * @param {Object<string, ArrayBuffer>} parts.files
     * @param {HTMLElement} parts.screen
     * @param {{xpa: boolean, ram: number}} options RAM in MiB.
     * @param {object} on
     * @param {(byte: number) => void} on.byte Called with each byte of COM1.
     * @param {(sign: string, details: object) => void} on.sign Called with the name of each sign.
     * @param {(error: Error) => void} on.failure Called if the emulator cannot be made.
     */
    constructor({ V86, module, files, screen }, { xpa, ram }, on) {
        // v86 keeps what it is given, and the next machine gets other words.
        const iso = files["strata.iso"].slice(0);
        writeWords(iso, { xpa: xpa ? "" : "NOXPA" });
        this.#emulator = new V86({
            wasm_fn: (imports) => instantiate(module, imports, on.failure),
            memory_size: ram << 20,
            vga_memory_size: 4 << 20,
            screen: { container: screen },
            bios: { buffer: files["bios.bin"].slice(0) },
            vga_bios: { buffer: files["vgabios.bin"].slice(0) },
            cdrom: { buffer: iso },
            acpi: true,
            disable_mouse: true,
            disable_speaker: true,
            autostart: true,
        });
        this.#loaded = new Promise((resolve) => this.#emulator.add_listener("emulator-ready", resolve));
        this.#loaded.then(() => this.#emulator.keyboard_set_enabled(this.#keys));
        this.#emulator.add_listener("serial0-output-byte", (byte) => {
            on.byte(byte);
            if (byte !== 10) {
                this.#line += String.fromCharCode(byte);
                return;
            }
            this.#read(this.#line.replace(/^.*\r(?!$)/, "").trimEnd(), on.sign);
            this.#line = "";
        });
    }

    /** Looks for a sign in a line of COM1. */
    #read(line, sign) {
        for (const [name, pattern] of SIGNS) {
            const match = pattern.exec(line);
            if (match) {
                sign(name, match.groups ?? {});
                if (name === "ready") {
                    this.#ready = true;
                    this.#emulator.serial0_send(this.#early);
                }
            }
        }
    }

    /** Sends text to COM1; what is typed before there is a prompt waits for it. */
    type(text) {
        if (this.#ready) {
            this.#emulator.serial0_send(text);
        } else {
            this.#early += text;
        }
    }

    /** Makes the browser's keyboard the machine's PS/2 keyboard, or not, as in the beginning. */
    listenToKeys(listen) {
        this.#keys = listen;
        this.#loaded.then(() => this.#emulator.keyboard_set_enabled(this.#keys));
    }

    /** Stops the machine and frees its memory. Half made it cannot be stopped, and one that has crashed does not answer. */
    async end() {
        const patience = new Promise((resolve) => setTimeout(resolve, 1000));
        await this.#loaded;
        await Promise.race([this.#emulator.destroy(), patience]);
    }
}

/** v86 waits for ever for what fails here, so the failure is reported apart. */
async function instantiate(module, imports, failure) {
    try {
        return (await WebAssembly.instantiate(module, imports)).exports;
    } catch (error) {
        failure(error);
        throw error;
    }
}
