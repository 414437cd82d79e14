// A browser that does what it is told, a line of JSON at a time, and answers each line with one of its own: what was
// seen, or {"error": …}. The tests tell it what to do; see lab/browser.rs.
//
//   {"new": {"width": 390, "height": 844, "dark": true, "scripts": false, "language": "de"}}   a fresh profile;
//                           with "keep": true one that has the cookies of the one before
//   {"open": URL} {"fill": [label, text]} {"choose": [label, option]} {"tick": label} {"click": name} {"press": key}
//   {"double": text}      a double click on the text in a table
//   {"see": true}         → {"url", "title", "text", "wide", "complaints"}: wide if the page is broader than the window;
//                           complaints of the page's policy, and errors of its scripts
//   {"shot": FILE}        the whole page as a picture
//   {"axe": true}         → {"violations": [...]}: what keeps people with disabilities out
//   {"run": EXPRESSION}   → {"value"}
//   {"wait": TEXT}        until the page shows it
//   {"passkeys": true}    a security key that is always at hand, whose owner always agrees
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
// The browser, and what else it is to be told.
const [program, ...more] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: program,
  // Root cannot use Chromium's sandbox; what is opened here is ours alone.
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", ...more],
});
let page;
let complaints = [];

async function fresh({ width = 1280, height = 800, dark = false, scripts = true, language = "en", keep = false }) {
  const storageState = keep ? await page?.context().storageState() : undefined;
  await page?.context().close();
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    javaScriptEnabled: scripts,
    locale: language,
    reducedMotion: "reduce",
    ignoreHTTPSErrors: true,
    storageState,
  });
  page = await context.newPage();
  complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && /Content Security Policy/.test(message.text())) complaints.push(message.text());
  });
  page.setDefaultTimeout(60_000);
}

// What a person would press: a button, a link or a summary of this name, or else one whose name contains it.
async function pressable(name) {
  const summary = page.locator("summary:visible", { hasText: name });
  const [button, link] = ["button", "link"].map((role) => page.getByRole(role, { name }));
  await button.or(link).or(summary).first().waitFor();
  const same = ["button", "link"].map((role) => page.getByRole(role, { name, exact: true }));
  for (const one of [...same, button, link]) if (await one.count()) return one.first();
  return summary.first();
}

async function look() {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth + 1);
  return { url: page.url(), title: await page.title(), text: await page.innerText("body"), wide, complaints };
}

async function violations() {
  // Not as a script of the page, whose policy would refuse it.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  return violations.map(({ id, impact, help, nodes }) => ({ id, impact, help, where: nodes.map((node) => node.html) }));
}

async function passkeys() {
  const session = await page.context().newCDPSession(page);
  await session.send("WebAuthn.enable");
  await session.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
}

async function obey(order) {
  if (order.new) return fresh(order.new);
  if (order.open) return void (await page.goto(order.open));
  if (order.fill) return page.getByLabel(order.fill[0], { exact: true }).first().fill(order.fill[1]);
  if (order.choose) return void (await page.getByLabel(order.choose[0], { exact: true }).first().selectOption(order.choose[1]));
  if (order.tick) return page.getByLabel(order.tick, { exact: true }).first().check();
  if (order.click) return (await pressable(order.click)).click();
  if (order.double) return page.locator("tbody").getByText(order.double).first().dblclick();
  if (order.press) return page.keyboard.press(order.press);
  if (order.see) return look();
  if (order.shot) return void (await page.screenshot({ path: order.shot, fullPage: true, caret: "initial" }));
  if (order.axe) return { violations: await violations() };
  if (order.run) return { value: await page.evaluate(order.run) };
  if (order.wait) return page.getByText(order.wait).first().waitFor();
  if (order.passkeys) return passkeys();
  throw new Error(`no such order: ${JSON.stringify(order)}`);
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = (await obey(JSON.parse(line))) ?? {};
  } catch (error) {
    answer = { error: String(error.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
