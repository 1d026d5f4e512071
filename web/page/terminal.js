// The terminal at COM1.

import { Terminal } from "./xterm.mjs";

/** What the kernel's pager and atlas count on. */
const COLUMNS = 80;
const ROWS = 25;

/** Font sizes in pixels; a letter is 0.6 times as wide. */
const SMALLEST = 10;
const LARGEST = 15;
const WIDTH = 0.6;

const THEME = {
    background: "#00000000",
    foreground: "#d5d9dd",
    cursor: "#7fbcd8",
    cursorAccent: "#12161b",
    selectionBackground: "#7fbcd855",
    black: "#12161b",
    red: "#e8796a",
    green: "#8cc98f",
    yellow: "#dfba6e",
    blue: "#77aede",
    magenta: "#c699d8",
    cyan: "#72c1c4",
    white: "#d5d9dd",
    brightBlack: "#6d7782",
    brightRed: "#f5978a",
    brightGreen: "#a8dcaa",
    brightYellow: "#f0d08d",
    brightBlue: "#99c5ec",
    brightMagenta: "#d9b5e6",
    brightCyan: "#94d6d8",
    brightWhite: "#f4f6f8",
};

/**
 * Opens a terminal in `element` that stays as wide as the element: 80 columns, or fewer where letters would become too small
 * to read.
 *
 * @returns {Promise<Terminal>} Once the font is there: the terminal measures it.
 */
export async function openTerminal(element) {
    await document.fonts.load('14px "JetBrains Mono"').catch(() => {});
    const terminal = new Terminal({
        ...size(element),
        rows: ROWS,
        fontFamily: '"JetBrains Mono", ui-monospace, monospace',
        lineHeight: 1,
        scrollback: 5000,
        allowTransparency: true,
        cursorBlink: true,
        screenReaderMode: false,
        theme: THEME,
    });
    terminal.open(element);
    terminal.textarea.setAttribute("aria-label", "Terminal at COM1");
    new ResizeObserver(() => {
        const { cols, fontSize } = size(element);
        terminal.options.fontSize = fontSize;
        terminal.resize(cols, ROWS);
    }).observe(element);
    return terminal;
}

function size(element) {
    const style = getComputedStyle(element);
    const width = element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const fitting = Math.floor((width / COLUMNS / WIDTH) * 4) / 4;
    const fontSize = Math.min(Math.max(fitting, SMALLEST), LARGEST);
    const cols = Math.max(Math.min(COLUMNS, Math.floor(width / (fontSize * WIDTH))), 20);
    return { cols, fontSize };
}
