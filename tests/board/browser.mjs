// Plays the person at the board: `node browser.mjs SCENARIO OPTIONS`. A scenario prints a JSON line when it has come to a
// step, and goes on when it reads a line; it ends with exit status 0 if everything was so.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [scenario, given] = process.argv.slice(2);
// `playwright` and `axe` are files, `chromium` is the program, `url` the sign-in link; the others are the scenario's own.
const options = JSON.parse(given);
const { url } = options;
const { chromium } = createRequire(import.meta.url)(options.playwright);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const TIMEOUT = 30_000;

/** Says what has happened, and waits until the test has done its part. */
async function tell(fact = {}) {
  console.log(JSON.stringify(fact));
  await lines.next();
}

function check(condition, ...what) {
  if (!condition) throw new Error(`not so: ${what.map((one) => (typeof one === "string" ? one : JSON.stringify(one))).join(" ")}`);
}

async function open(browser, { path = "", ...context } = {}) {
  const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 }, ...context })).newPage();
  page.setDefaultTimeout(TIMEOUT);
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(String(error.stack)));
  page.on("console", (line) => {
    // A hub that is away is part of a scenario.
    if (line.type() === "error" && !line.text().includes("net::ERR_")) page.problems.push(line.text());
  });
  page.on("request", (request) => {
    const { origin } = new URL(request.url());
    if (origin !== "null" && origin !== new URL(url).origin) page.problems.push(`a request to ${origin}`);
  });
  await page.goto(url + path);
  await page.locator("#live.live").waitFor();
  return page;
}

const column = (page, status) => page.locator(`.column[data-status=${status}]`);
const card = (page, status, title) => column(page, status).locator(".card", { hasText: title });

const scenarios = {
  async answer(browser) {
    const page = await open(browser);
    check(new URL(page.url()).hash === "", "the token is gone from the address", page.url());
    await tell({ signed_in: true });
    const need = page.locator(".need.question", { hasText: options.question });
    await need.waitFor();
    check((await need.locator("[data-part=text]").textContent()) === options.question, "the text is as it was asked");
    const counted = Number(await page.locator("#figures li.urgent b").textContent());
    check(counted === (await page.locator(".need").count()), "the figure counts it", counted);
    await need.locator("textarea").fill(options.answer);
    await need.getByRole("button", { name: "Answer" }).click();
    await need.waitFor({ state: "detached" });
    const row = page.locator("#conversation-list .talk", { hasText: options.question });
    await row.locator(".answer", { hasText: options.answer }).waitFor();
    check((await page.locator("img").count()) === 0, "no text has become an element");
    check(await page.evaluate(() => window.broken === undefined), "no text has run");
    return page;
  },

  async event(browser) {
    const page = await open(browser);
    await tell({ signed_in: true });
    await page.locator("#events-list .event", { hasText: options.shown }).first().waitFor();
    return page;
  },

  async tasks(browser) {
    const page = await open(browser);
    await card(page, "todo", options.dragged).dragTo(column(page, "in_progress"));
    await card(page, "in_progress", options.dragged).waitFor();
    await tell({ dragged: true });
    // Again by keys: to the other task of the first column, from there to review, and back with a reason.
    await page.keyboard.press("t");
    await page.keyboard.press("Shift+ArrowRight");
    await card(page, "in_progress", options.moved).waitFor();
    await page.locator(`.column[data-status=in_progress] windowed-list:focus [aria-selected=true]`, { hasText: options.moved }).waitFor();
    await page.keyboard.press("Shift+ArrowRight");
    await card(page, "in_review", options.moved).waitFor();
    await page.locator(".need", { hasText: options.moved }).waitFor();
    await page.locator(".column[data-status=in_review] windowed-list:focus").waitFor();
    await page.keyboard.press("Shift+ArrowRight");
    await card(page, "done", options.moved).waitFor();
    await tell({ moved: true });
    await page.locator(".need", { hasText: options.rejected }).getByRole("button", { name: "Reject…" }).click();
    await page.locator("#prompt-input").fill(options.reason);
    await page.locator("#prompt").getByRole("button", { name: "Reject" }).click();
    await card(page, "todo", options.rejected).waitFor();
    return page;
  },

  async restart(browser) {
    const page = await open(browser);
    await page.locator("#events-list .event", { hasText: "first" }).first().waitFor();
    await tell({ live: true });
    await page.locator("#live.not-live").waitFor();
    await tell({ not_live: true });
    await page.locator("#live.live").waitFor();
    await page.locator("#events-list .event", { hasText: "last" }).first().waitFor();
    await page.locator("#events-filter").selectOption("project.");
    const texts = await page.locator("#events-list .event [data-part=text]").allTextContents();
    const types = texts.map((text) => text.split(" ")[0]).toReversed();
    check(JSON.stringify(types) === JSON.stringify(options.expected), "each event once, in order", types);
    return page;
  },

  async actions(browser) {
    const page = await open(browser);
    const prompt = page.locator("#prompt");
    const row = (text) => page.locator("#conversation-list .talk", { hasText: text });
    await page.keyboard.press("a");
    await page.locator("#compose-to").fill("ada");
    await page.locator("#compose-text").fill("asked from the board?");
    await page.keyboard.press("Control+Enter");
    await row("asked from the board?").filter({ hasText: "you" }).waitFor();
    await page.keyboard.press("p");
    await page.locator("#compose-to").fill("*");
    await page.locator("#compose-text").fill("posted from the board");
    await page.locator("#compose-send").click();
    await row("posted from the board").waitFor();
    await page.locator("#pause").click();
    await prompt.getByRole("button", { name: "30 minutes" }).click();
    await page.locator("#paused", { hasText: "paused until" }).waitFor();
    await page.locator("#pause").click();
    await page.locator("#paused").waitFor({ state: "hidden" });
    await page.locator(".session", { hasText: "ada" }).getByRole("link").click();
    await page.locator("#detail").getByRole("button", { name: "Quiet…" }).click();
    await prompt.getByRole("button", { name: "Until I end it" }).click();
    await page.locator(".session[data-state=quiet]", { hasText: "ada" }).waitFor();
    await page.locator("#detail").getByRole("button", { name: "End quiet" }).click();
    await page.locator(".session[data-state=quiet]").waitFor({ state: "detached" });
    await page.keyboard.press("Escape");
    // A closed dialog leaves the address.
    await page.waitForFunction(() => location.hash === "");
    await page.locator(".claim", { hasText: "deploy" }).getByRole("button").click();
    await prompt.getByRole("button", { name: "Release" }).click();
    await page.locator(".claim").waitFor({ state: "detached" });
    await page.keyboard.press("/");
    await page.keyboard.type("5433");
    await page.locator(".memory", { hasText: "5433" }).getByRole("button").click();
    await prompt.getByRole("button", { name: "Forget" }).click();
    await page.locator(".memory").waitFor({ state: "detached" });
    await tell({ waits: "a question to decline" });
    const need = page.locator(".need.question", { hasText: "to be declined?" });
    await need.locator("textarea").fill("not now");
    await need.getByRole("button", { name: "Decline" }).click();
    await need.waitFor({ state: "detached" });
    await page.locator("#sessions-all").check();
    await page.locator(".session[data-state=gone]", { hasText: "bo" }).getByRole("link").click();
    await page.locator("#detail").getByRole("button", { name: "Forget…" }).click();
    await prompt.getByRole("button", { name: "Forget" }).click();
    await page.locator(".session", { hasText: "bo" }).waitFor({ state: "detached" });
    check(page.problems.length === 0, page.problems);
    await page.keyboard.press("Escape");
    await page.keyboard.press("?");
    await page.locator("#sign-out").click();
    await page.locator("#signed-out", { hasText: "claude-mesh board" }).waitFor();
    await page.reload();
    await page.locator("#signed-out").waitFor();
    check(await page.evaluate(() => sessionStorage.length === 0), "the key is gone");
    // The stream that ends with the key may be reported as an error of the network.
    return null;
  },

  async many(browser) {
    const page = await open(browser);
    const events = page.locator("#events-list");
    const shown = () => events.locator(".event").count();
    const total = () => events.locator(".event").first().getAttribute("aria-setsize").then(Number);
    await page.keyboard.press("e");
    for (let rounds = 0; (await total()) < options.events && rounds < 60; rounds += 1) {
      const before = await total();
      await page.keyboard.press("End");
      await page.waitForFunction((count) => Number(document.querySelector("#events-list .event")?.getAttribute("aria-setsize")) > count, before);
      check((await shown()) < 80, "rows in the document", await shown());
    }
    check((await total()) >= options.events, "all events can be reached", await total());
    await page.keyboard.press("Home");
    check((await column(page, "todo").locator(".card").count()) < 40, "cards in the document");
    const elements = await page.evaluate(() => document.querySelectorAll("*").length);
    check(elements < 2500, "elements in the document", elements);
    console.log(JSON.stringify({ elements, rows: await shown() }));
    return page;
  },

  async axe(browser) {
    const source = readFileSync(options.axe, "utf8");
    const page = await open(browser);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      for (const view of [null, "?", "a"]) {
        if (view) await page.keyboard.press(view);
        await page.evaluate(source);
        const { violations } = await page.evaluate(() => globalThis.axe.run());
        const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
        check(serious.length === 0, colorScheme, view ?? "board", serious.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]));
        if (view) await page.keyboard.press("Escape");
      }
    }
    // What is typed into the dialog of a question stays while the question changes.
    await page.locator("#conversation-list .talk", { hasText: options.open }).click();
    await page.locator("#detail textarea").pressSequentially("half an ");
    await tell({ typing: true });
    await page.locator("#detail .track", { hasText: "not delivered yet" }).waitFor({ state: "detached" });
    await page.keyboard.type("answer");
    check((await page.locator("#detail textarea").inputValue()) === "half an answer", "the text and the caret stay");
    return page;
  },

  async pictures(browser) {
    const sizes = {
      light: { viewport: { width: 1440, height: 900 }, colorScheme: "light" },
      dark: { viewport: { width: 1440, height: 900 }, colorScheme: "dark" },
      phone: { viewport: { width: 360, height: 740 }, colorScheme: "light" },
    };
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(url);
    await page.locator("#live.live").waitFor();
    await page.locator(".need.question").first().waitFor();
    for (const [name, { viewport, colorScheme }] of Object.entries(sizes)) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      check(!wide, "no part of the page is beside the screen", name);
      if (options.folder) await page.screenshot({ path: `${options.folder}/board-${name}.png` });
    }
    return null;
  },
};

const browser = await chromium.launch({ executablePath: options.chromium, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
try {
  const page = await scenarios[scenario](browser);
  check(!page || page.problems.length === 0, page?.problems);
} catch (error) {
  console.error(error.stack ?? error);
  process.exitCode = 1;
} finally {
  await browser.close();
  process.stdin.destroy();
}
