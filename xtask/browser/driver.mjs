// A browser that does what it is told, a line of JSON at a time, and answers each line with one of its own: what was
// seen, or {"error": …}. The tests tell it what to do; see lab/browser.rs.
//
//   {"new": {"width": 390, "height": 844, "dark": true, "scripts": false, "language": "de"}}   a fresh profile
//   {"open": URL} {"fill": [label, text]} {"click": name} {"press": key} {"double": text}
//   {"see": true}         → {"url", "title", "text", "wide"}: wide if the page is broader than the window
//   {"shot": FILE}        the whole page as a picture
//   {"axe": true}         → {"violations": [...]}: what keeps people with disabilities out
//   {"run": EXPRESSION}   → {"value"}
//   {"wait": TEXT}        until the page shows it
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const [program] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: program,
  // Root cannot use Chromium's sandbox; what is opened here is ours alone.
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"],
});
let page;

async function fresh({ width = 1280, height = 800, dark = false, scripts = true, language = "en" }) {
  await page?.context().close();
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    javaScriptEnabled: scripts,
    locale: language,
    reducedMotion: "reduce",
    ignoreHTTPSErrors: true,
    // Axe is put into the page; the page's own policy is tested elsewhere.
    bypassCSP: true,
  });
  page = await context.newPage();
  page.setDefaultTimeout(60_000);
}

// What a person would press: a button or a link of this name.
function pressable(name) {
  return page.getByRole("button", { name }).or(page.getByRole("link", { name })).first();
}

async function look() {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth + 1);
  return { url: page.url(), title: await page.title(), text: await page.innerText("body"), wide };
}

async function violations() {
  await page.addScriptTag({ path: axe });
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  return violations.map(({ id, impact, help, nodes }) => ({ id, impact, help, where: nodes.map((node) => node.html) }));
}

async function obey(order) {
  if (order.new) return fresh(order.new);
  if (order.open) return void (await page.goto(order.open));
  if (order.fill) return page.getByLabel(order.fill[0], { exact: true }).first().fill(order.fill[1]);
  if (order.choose) return void (await page.getByLabel(order.choose[0], { exact: true }).first().selectOption(order.choose[1]));
  if (order.click) return pressable(order.click).click();
  if (order.double) return page.getByText(order.double).first().dblclick();
  if (order.press) return page.keyboard.press(order.press);
  if (order.see) return look();
  if (order.shot) return void (await page.screenshot({ path: order.shot, fullPage: true }));
  if (order.axe) return { violations: await violations() };
  if (order.run) return { value: await page.evaluate(order.run) };
  if (order.wait) return page.getByText(order.wait).first().waitFor();
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
