// Makes money.tsv and relative.tsv from CLDR's JSON, and reference.tsv from ICU (Intl of Node.js), which the tests hold the
// former against. Run in a folder where `npm install cldr-core cldr-numbers-full cldr-dates-full` has been run:
//
//     node generate.mjs <folder with node_modules> <this folder>
//
// CLDR is © Unicode, Inc., licensed under Unicode-3.0.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [modules, out] = process.argv.slice(2);
const load = (...path) => JSON.parse(readFileSync(join(modules, "node_modules", ...path), "utf8"));
const supplemental = (name) => load("cldr-core", "supplemental", `${name}.json`).supplemental;
const { parentLocale } = supplemental("parentLocales").parentLocales;
const version = load("cldr-numbers-full", "package.json").version;
const header = (columns) =>
  `# CLDR ${version}, made by generate.mjs; © Unicode, Inc., Unicode-3.0. An empty column is the parent locale's, "-" is empty.\n# ${columns}\n`;

const locales = readdirSync(join(modules, "node_modules", "cldr-numbers-full", "main")).sort();
const parent = (locale) => {
  if (locale === "und") return null;
  if (parentLocale[locale] && parentLocale[locale] !== "root") return parentLocale[locale];
  if (parentLocale[locale] === "root") return "und";
  const cut = locale.lastIndexOf("-");
  return cut < 0 ? "und" : locale.slice(0, cut);
};
const known = (locale) => (locale === null || locales.includes(locale) ? locale : known(parent(locale)));

const numbers = (locale) => load("cldr-numbers-full", "main", locale, "numbers.json").main[locale].numbers;
const currencies = (locale) => load("cldr-numbers-full", "main", locale, "currencies.json").main[locale].numbers.currencies;
const grouping = (pattern) => pattern.split(";")[0].replace(/[^#0,.]/g, "").split(".")[0];
// The digits of a pattern become 0.
const shape = (pattern) => pattern.replace(/[#,]*0(\.0+)?/g, "0");

const tender = new Set(Object.entries(supplemental("currencyData").currencyData.region).flatMap(([, list]) =>
  list.flatMap((entry) => Object.entries(entry).filter(([, dates]) => !dates._to && dates._tender !== "false").map(([code]) => code))));

function money(locale) {
  const all = numbers(locale);
  const system = all.defaultNumberingSystem;
  const formats = all[`currencyFormats-numberSystem-${system}`];
  const symbols = all[`symbols-numberSystem-${system}`];
  const decimal = all[`decimalFormats-numberSystem-${system}`].standard;
  if (grouping(decimal).replace(/^#*/, "") !== grouping(formats.standard).replace(/^#*/, "")) {
    console.error(`${locale}: groups ${decimal} but ${formats.standard}`);
  }
  const names = {};
  for (const [code, currency] of Object.entries(currencies(locale))) {
    if (!tender.has(code)) continue;
    const separators = currency.decimal ? `|${currency.decimal}` : "";
    names[code] = (currency.symbol ?? code) + separators;
  }
  return {
    columns: [
      shape(formats.standard),
      shape(formats["standard-alphaNextToNumber"] ?? formats.standard),
      symbols.minusSign,
      symbols.currencyDecimal ?? "-",
      symbols.currencyGroup ?? "-",
    ],
    names,
  };
}

function moneyTable() {
  const all = Object.fromEntries(locales.map((locale) => [locale, money(locale)]));
  let text = header("locale, pattern, pattern for a currency that ends in a letter, minus, decimal and group separator of money, symbols");
  for (const locale of locales) {
    const above = all[known(parent(locale))] ?? { columns: [], names: {} };
    const { columns, names } = all[locale];
    const changed = columns.map((column, place) => (column === above.columns[place] ? "" : column));
    const symbols = Object.entries(names)
      .filter(([code, name]) => name !== (above.names[code] ?? code))
      .map(([code, name]) => `${code}=${name}`)
      .join(" ; ");
    if (symbols || changed.some(Boolean)) text += `${[locale, ...changed, symbols].join("\t")}\n`;
  }
  writeFileSync(join(out, "money.tsv"), text);
}

function relative(locale) {
  const { fields } = load("cldr-dates-full", "main", locale, "dateFields.json").main[locale].dates;
  const forms = (unit, direction) => {
    const patterns = Object.entries(fields[unit][`relativeTime-type-${direction}`] ?? {});
    return patterns.map(([key, pattern]) => `${key.replace("relativeTimePattern-count-", "")}=${pattern}`).join("|");
  };
  const units = ["minute", "hour", "day"];
  return [fields.second["relative-type-0"], ...units.map((unit) => forms(unit, "past")), ...units.map((unit) => forms(unit, "future"))];
}

function relativeTable() {
  const dated = readdirSync(join(modules, "node_modules", "cldr-dates-full", "main"));
  const all = Object.fromEntries(locales.filter((one) => dated.includes(one)).map((locale) => [locale, relative(locale)]));
  let text = header("locale, now; minutes, hours, days ago; in minutes, hours, days: plural category=form|…");
  for (const [locale, columns] of Object.entries(all)) {
    const above = all[known(parent(locale))] ?? [];
    const changed = columns.map((column, place) => (column === above[place] ? "" : column));
    if (changed.some(Boolean)) text += `${[locale, ...changed].join("\t")}\n`;
  }
  writeFileSync(join(out, "relative.tsv"), text);
}

function reference() {
  const some = ["af", "ar", "ar-EG", "ar-KW", "ar-MA", "az", "be", "bg", "bn", "bs", "ca", "cs", "cy", "da", "de", "de-AT", "de-CH", "de-LI", "el",
    "en", "en-AU", "en-CA", "en-CH", "en-GB", "en-IN", "en-NZ", "en-ZA", "es", "es-AR", "es-CL", "es-MX", "es-US", "et", "eu", "fa", "fi", "fil", "fr",
    "fr-CA", "fr-CH", "ga", "gl", "gu", "he", "hi", "hr", "hu", "hy", "id", "is", "it", "it-CH", "ja", "ka", "kk", "km", "kn", "ko", "ky", "lo", "lt",
    "lv", "mk", "ml", "mn", "mr", "ms", "my", "nb", "ne", "nl", "nl-BE", "nn", "pa", "pl", "pt-BR", "pt-CV", "pt-PT", "ro", "ru", "si", "sk", "sl",
    "sq", "sr", "sr-Latn", "sv", "sw", "ta", "ta-SG", "te", "th", "tr", "uk", "ur", "uz", "vi", "zh", "zh-Hant", "zh-HK", "zh-SG", "zh-TW", "zu"];
  const amounts = [["EUR", 1234.5], ["USD", -1234567.89], ["KWD", 1.255], ["KRW", 1000], ["CHF", 1234.5], ["INR", 12345678], ["JPY", 1500], ["CVE", 12.5]];
  const counts = ["0", "1", "2", "3", "5", "6", "11", "21", "100", "1000000", "1.5", "0.0", "2.10"];
  let text = "# ICU " + process.versions.icu + ", CLDR " + process.versions.cldr + ", made by generate.mjs: money, relative, plural, number\n";
  for (const locale of some) {
    for (const [currency, amount] of amounts) {
      const format = new Intl.NumberFormat(locale, { style: "currency", currency });
      text += `money\t${locale}\t${currency}\t${amount}\t${format.format(amount)}\n`;
    }
    const time = new Intl.RelativeTimeFormat(locale);
    for (const [n, unit] of [[-5, "minute"], [-1, "hour"], [2, "day"]]) {
      text += `relative\t${locale}\t${unit}\t${n}\t${time.format(n, unit)}\n`;
    }
    const categories = counts.map((count) => {
      const digits = count.split(".")[1]?.length ?? 0;
      const rules = new Intl.PluralRules(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });
      return `${count}=${rules.select(Number(count))}`;
    });
    text += `plural\t${locale}\t\t\t${categories.join(" ")}\n`;
    text += `number\t${locale}\t\t1234567.891\t${new Intl.NumberFormat(locale).format(1234567.891)}\n`;
  }
  writeFileSync(join(out, "reference.tsv"), text);
}

moneyTable();
relativeTable();
reference();
