// The page: one machine at a time, its buttons, and a line that says how far it is.

import { download } from "./download.js";
import { Machine } from "./machine.js";
import { openTerminal } from "./terminal.js";

const by = (id) => document.getElementById(id);
const modes = [by("pml3"), by("pml2")];
const screen = by("screen");

/** Ends whatever waits for a key, and takes back what was typed but not entered. */
const CLEAR_LINE = "q\x15";

/** What a machine is made of, once it is there. */
let parts = null;
let machine = null;
let terminal = null;
/** Counts machines: one that is replaced while it is being made is not shown. */
let generation = 0;

/** Says how far it is. `share` is a part of 1; `kind` is "good", "bad" or "". */
function say(text, share, kind = "") {
    const [mode, ...rest] = kind === "good" ? text.split(" ") : [];
    const status = by("status");
    status.replaceChildren();
    if (mode) {
        const name = document.createElement("b");
        name.textContent = mode;
        status.append(name, ` ${rest.join(" ")}`);
    } else {
        status.append(text);
    }
    by("progress").className = `progress ${kind}`;
    by("bar").style.width = `${share * 100}%`;
    document.documentElement.dataset.state = kind || "busy";
}

function fail(error) {
    say(error.message, 1, "bad");
    console.error(error);
}

/** Why no machine can run in this browser, or null. */
function lacking() {
    if (typeof WebAssembly !== "object") {
        return (
            "This browser has no WebAssembly, or it is switched off, and the emulated PC is made of it. " +
            "Some browsers switch it off in a locked-down mode; any other current one has it."
        );
    }
    return null;
}

/** Fetches all that a machine is made of. */
async function prepare() {
    const files = download((loaded, total) => {
        const mib = (bytes) => (bytes / (1 << 20)).toFixed(1);
        say(`Downloading: ${mib(loaded)} of ${mib(total)} MiB`, (loaded / total) * 0.5);
    });
    const [contents, { V86 }] = await Promise.all([files, import("./libv86.mjs")]);
    say("Compiling the emulated CPU", 0.55);
    let module;
    try {
        module = await WebAssembly.compile(contents["v86.wasm"]);
    } catch (error) {
        throw new Error(`This browser's WebAssembly cannot run the emulated CPU; a newer browser can (${error.message})`);
    }
    return { V86, module, files: contents, screen };
}

async function start() {
    const mine = ++generation;
    const xpa = by("pml3").getAttribute("aria-pressed") === "true";
    const ram = Number(by("ram").value);
    const begun = performance.now();
    say("Starting the emulated PC", 0.6);
    try {
        await machine?.end();
        if (mine !== generation) {
            return;
        }
        machine = null;
        terminal.reset();
        emptyScreen();
        const current = () => mine === generation;
        const signs = {
            started: () => say("The kernel builds its page tables", 0.9),
            ready: ({ mode, ram }) => {
                const seconds = ((performance.now() - begun) / 1000).toFixed(1);
                say(`${mode} is up after ${seconds} s, with ${Math.round(ram / 1024)} MiB of RAM`, 1, "good");
                document.documentElement.dataset.mode = mode;
            },
            tests: ({ passed, failed }) => {
                const text = `Self-tests: ${passed} passed, ${failed} failed`;
                failed === "0" ? say(`${passed} self-tests passed, none failed`, 1, "good") : say(text, 1, "bad");
            },
            panic: () => say("The kernel has stopped, and says why below. Restart boots it again.", 1, "bad"),
            refusal: ({ what }) => say(`The kernel cannot start: ${what}`, 1, "bad"),
        };
        delete document.documentElement.dataset.mode;
        machine = new Machine(
            parts,
            { xpa, ram },
            {
                byte: (byte) => current() && terminal.write(Uint8Array.of(byte)),
                sign: (sign, details) => current() && signs[sign](details),
                failure: (error) => current() && fail(new Error(`The emulated PC cannot be made: ${error.message}`)),
            },
        );
        say("BIOS and GRUB load the kernel", 0.7);
    } catch (error) {
        fail(error);
    }
}

/** Gives the next machine elements of its own: one that has crashed may still draw on those that it had. */
function emptyScreen() {
    const text = document.createElement("div");
    text.className = "text";
    const canvas = document.createElement("canvas");
    canvas.style.display = "none";
    screen.replaceChildren(text, canvas);
}

/** Has the machine run a command. */
function type(text) {
    machine?.type(`${CLEAR_LINE}${text}\r`);
}

function listen() {
    for (const button of modes) {
        button.addEventListener("click", () => {
            modes.forEach((mode) => mode.setAttribute("aria-pressed", String(mode === button)));
            start();
        });
    }
    by("ram").addEventListener("change", start);
    by("restart").addEventListener("click", start);
    by("tests").addEventListener("click", () => {
        say("The self-tests run", 0.5);
        type("selftest");
    });
    for (const button of document.querySelectorAll("[data-command]")) {
        button.addEventListener("click", () => {
            type(button.dataset.command);
            if ("focus" in button.dataset) {
                terminal.focus();
            }
        });
    }
    const keys = by("keys");
    const idle = keys.textContent;
    screen.addEventListener("pointerdown", () => screen.focus());
    screen.addEventListener("focus", () => {
        machine?.listenToKeys(true);
        keys.textContent = "Keys go to the PS/2 keyboard: click elsewhere to leave";
    });
    screen.addEventListener("blur", () => {
        machine?.listenToKeys(false);
        keys.textContent = idle;
    });
}

/** Until there is a machine, buttons do nothing. */
function enable(enabled) {
    document.querySelectorAll("button, select").forEach((control) => (control.disabled = !enabled));
}

async function main() {
    enable(false);
    const lack = lacking();
    if (lack) {
        say(lack, 1, "bad");
        return;
    }
    // What fails inside the emulator comes as one of these. An event without an error is only a warning.
    const crashed = (error) => fail(new Error(`The emulated PC has crashed (${error.message}). Restart switches it on again.`));
    window.addEventListener("error", ({ error }) => error && crashed(error));
    window.addEventListener("unhandledrejection", ({ reason }) => crashed(reason));
    try {
        [terminal, parts] = await Promise.all([openTerminal(by("terminal")), prepare()]);
    } catch (error) {
        fail(error);
        return;
    }
    terminal.onData((text) => machine?.type(text));
    listen();
    enable(true);
    await start();
}

main();
