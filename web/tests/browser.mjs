// Opens the page of build/web/ in headless Chromium and uses it as a person would.
//
//     node web/tests/browser.mjs CHROMIUM PICTURES
//
// CHROMIUM is the browser's path; pictures of the page go to the folder PICTURES. Prints a line for each test and, last,
// `N passed, N failed`.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [executablePath, pictures] = process.argv.slice(2);
if (!pictures) {
    console.error("usage: node web/tests/browser.mjs CHROMIUM PICTURES");
    process.exit(2);
}

/** How long anything may take, in milliseconds; on an idle machine nothing takes more than a twentieth. */
const LIMIT = 300_000;
const FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

const server = spawn("tools/web-serve", ["0"], { stdio: ["ignore", "pipe", "pipe"] });
// Each request is a line there, and what is wrong with the server is one too.
let complaints = "";
server.stderr.on("data", (part) => (complaints += part));
const browsers = [];
process.on("exit", () => server.kill());

/** The page's address, once the server says its port. */
function serve() {
    return new Promise((resolve, reject) => {
        let said = "";
        server.stdout.on("data", (part) => {
            said += part;
            const port = /port (\d+)/.exec(said);
            if (port) {
                resolve(`http://127.0.0.1:${port[1]}/`);
            }
        });
        server.on("exit", () => reject(new Error(`tools/web-serve has ended: ${said}${complaints}`)));
    });
}

async function launch(...flags) {
    const browser = await chromium.launch({ executablePath, args: [...FLAGS, ...flags], timeout: LIMIT });
    browsers.push(browser);
    return browser;
}

/** Opens the page, and keeps what must not happen: errors, and requests to anything but the server. */
async function open(browser, address, options = {}) {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, ...options });
    page.setDefaultTimeout(LIMIT);
    page.wrong = [];
    page.on("pageerror", (error) => page.wrong.push(error.message));
    page.on("console", (message) => message.type() === "error" && page.wrong.push(message.text()));
    page.on("request", (request) => {
        if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(address)) {
            page.wrong.push(`asks for ${request.url()}`);
        }
    });
    await page.goto(address);
    return page;
}

const state = (page, name) => page.waitForSelector(`html[data-state="${name}"]`);
const status = (page) => page.innerText("#status");
const up = (page, mode) => page.waitForSelector(`html[data-state="good"][data-mode="${mode}"]`);

/** What is to be read in an element, each row a line. */
const shown = (page, element) =>
    page.$$eval(`${element} > div`, (rows) => rows.map((row) => row.textContent.replaceAll("\u00a0", " ").trimEnd()).join("\n"));
const TERMINAL = "#terminal .xterm-rows";
const SCREEN = "#screen .text";

/** What `paging` says of CR4. */
const WITH_PAE = /CR4 +0x[0-9a-f]+ PSE PAE/;
const WITHOUT_PAE = /CR4 +0x[0-9a-f]+ PSE PGE/;

/** Waits until `wanted`, a text or a regular expression, is to be read in an element. */
async function reads(page, element, wanted) {
    const end = Date.now() + LIMIT;
    const there = (text) => (wanted instanceof RegExp ? wanted.test(text) : text.includes(wanted));
    while (!there(await shown(page, element))) {
        if (Date.now() > end) {
            throw new Error(`'${wanted}' does not appear; there is:\n${await shown(page, element)}`);
        }
        await page.waitForTimeout(100);
    }
}

function expect(condition, what) {
    if (!condition) {
        throw new Error(what);
    }
}

let passed = 0;
let failed = 0;
async function test(name, run) {
    const begun = Date.now();
    try {
        const figure = await run();
        passed += 1;
        console.log(`web ${name} ... ok (${((Date.now() - begun) / 1000).toFixed(1)} s${figure ? `; ${figure}` : ""})`);
    } catch (error) {
        failed += 1;
        console.log(`web ${name} ... FAILED: ${error.message}`);
    }
}

async function inBrowser(address) {
    const browser = await launch();
    let page;
    await test("boots pml3", async () => {
        page = await open(browser, address);
        await up(page, "pml3");
        const seconds = await page.evaluate(() => performance.now() / 1000);
        await reads(page, TERMINAL, "strata>");
        await reads(page, SCREEN, "strata>");
        return `ready ${seconds.toFixed(1)} s after the page was asked for`;
    });
    await test("paging, typed in the terminal", async () => {
        await page.click("#terminal");
        await page.keyboard.type("paging\n");
        await reads(page, TERMINAL, WITH_PAE);
        await reads(page, SCREEN, WITH_PAE);
    });
    await test("uptime, typed on the PS/2 keyboard", async () => {
        await page.click("#screen");
        await page.keyboard.type("uptime\n");
        await reads(page, SCREEN, "strata> uptime");
        await reads(page, TERMINAL, "strata> uptime");
    });
    await test("a command that is clicked ends what waits for a key", async () => {
        await page.click('[data-command="atlas keys"]');
        await reads(page, TERMINAL, "q: back");
        await page.click('[data-command="walk 0xc0100000"]');
        await reads(page, TERMINAL, "strata> walk 0xc0100000");
    });
    await test("picture", async () => {
        await page.click("#terminal");
        await page.keyboard.type("atlas 0xc0100000\n");
        await reads(page, SCREEN, /strata> atlas 0xc0100000[^]*strata>/);
        await page.evaluate(() => document.activeElement.blur());
        await page.screenshot({ path: `${pictures}/browser.png` });
    });
    await test("self-tests in pml3", () => selfTests(page));
    await test("the NOXPA button boots pml2", async () => {
        await page.click("#pml2");
        await up(page, "pml2");
        await page.click('[data-command="paging"]');
        await reads(page, TERMINAL, WITHOUT_PAE);
    });
    await test("self-tests in pml2", () => selfTests(page));
    await test("what is typed while it boots is answered", async () => {
        await page.selectOption("#ram", "16");
        await page.click("#terminal");
        await page.keyboard.type("uptime\n");
        await up(page, "pml2");
        expect((await status(page)).includes("16 MiB"), `the RAM is not what was chosen: ${await status(page)}`);
        await reads(page, TERMINAL, "strata> uptime");
    });
    await test("a fault stops the kernel, and Restart boots it again", async () => {
        await page.click('[data-command="fault text"]');
        await state(page, "bad");
        expect((await status(page)).includes("stopped"), `it says: ${await status(page)}`);
        await reads(page, TERMINAL, "panic: ");
        await page.click("#restart");
        await up(page, "pml2");
    });
    await test("a fault that v86 cannot deliver is named, and Restart boots again", async () => {
        expect(page.wrong.length === 0, page.wrong.join("; "));
        await page.click("#terminal");
        await page.keyboard.type("fault stack\n");
        await state(page, "bad");
        expect((await status(page)).includes("emulated PC has crashed"), `it says: ${await status(page)}`);
        await page.click("#restart");
        await up(page, "pml2");
        page.wrong.length = 0;
    });
    await test("a machine that is replaced while it starts leaves nothing behind", async () => {
        await page.click("#pml3");
        await page.click("#pml2");
        await page.click("#pml3");
        await up(page, "pml3");
        await reads(page, TERMINAL, "strata>");
        expect(!(await shown(page, TERMINAL)).includes("pml2"), "something of another machine is in the terminal");
    });
    await test("no error, and no request to another server", async () => {
        expect(page.wrong.length === 0, page.wrong.join("; "));
    });
    await page?.close();
    for (const width of [320, 360, 390, 768, 1024]) {
        await test(`${width} pixels wide, without a sideways scroll`, () => narrow(browser, address, width));
    }
    await test("a file that is not there is named", async () => {
        const page = await browser.newPage();
        page.setDefaultTimeout(LIMIT);
        await page.route("**/strata.iso", (route) => route.fulfill({ status: 404 }));
        await page.goto(address);
        await state(page, "bad");
        expect((await status(page)).includes("strata.iso could not be fetched"), `it says: ${await status(page)}`);
        await page.close();
    });
    await test("a file that is cut off is named", async () => {
        const page = await browser.newPage();
        page.setDefaultTimeout(LIMIT);
        await page.route("**/bios.bin", (route) => route.fulfill({ body: Buffer.alloc(1000) }));
        await page.goto(address);
        await state(page, "bad");
        expect((await status(page)).includes("bios.bin has 1000 bytes"), `it says: ${await status(page)}`);
        await page.close();
    });
    await test("opened as a file it says what it needs", async () => {
        const page = await browser.newPage();
        page.setDefaultTimeout(LIMIT);
        await page.goto(pathToFileURL("build/web/index.html").href);
        await page.waitForSelector(".late", { state: "visible" });
        await page.waitForTimeout(4000);
        expect((await status(page)).includes("just web-serve"), `it says: ${await status(page)}`);
        expect((await page.$eval(".late", (text) => getComputedStyle(text).visibility)) === "visible", "it is not shown");
        await page.close();
    });
}

async function selfTests(page) {
    await page.click("#tests");
    // Running is neither good nor bad.
    await state(page, "busy");
    await page.waitForSelector('html:not([data-state="busy"])');
    const text = await status(page);
    expect(/^[1-9]\d* self-tests passed, none failed$/.test(text), `it says: ${text}`);
    return text;
}

async function narrow(browser, address, width) {
    const page = await open(browser, address, { viewport: { width, height: 800 }, isMobile: width < 500, hasTouch: width < 500 });
    const fits = async () => {
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        expect(wide <= width, `the page is ${wide} pixels wide`);
    };
    await fits();
    await up(page, "pml3");
    await page.click('[data-command="paging"]');
    await reads(page, TERMINAL, WITH_PAE);
    await fits();
    await page.screenshot({ path: `${pictures}/${width}.png`, fullPage: true });
    expect(page.wrong.length === 0, page.wrong.join("; "));
    await page.close();
}

async function withoutWebAssembly(address) {
    await test("without WebAssembly it says so", async () => {
        // The flag of a locked-down browser: without a compiler V8 offers no WebAssembly.
        const browser = await launch("--js-flags=--jitless");
        const page = await open(browser, address);
        expect(await page.evaluate(() => typeof WebAssembly === "undefined"), "this browser has WebAssembly all the same");
        await state(page, "bad");
        expect((await status(page)).includes("no WebAssembly"), `it says: ${await status(page)}`);
        await page.screenshot({ path: `${pictures}/no-webassembly.png` });
    });
}

try {
    const address = await serve();
    await inBrowser(address);
    await withoutWebAssembly(address);
} finally {
    await Promise.all(browsers.map((browser) => browser.close()));
    server.kill();
    await Promise.race([once(server, "exit"), new Promise((resolve) => setTimeout(resolve, 5000))]);
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
