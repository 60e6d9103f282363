// format: numbers, sizes, times and texts from anywhere, as people read them.
// Knows no element of the page.

const NONE = "–";

const thousands = new Intl.NumberFormat("en");

function count(value) {
    return thousands.format(value);
}

// Three digits and a unit: "1.23 MB".
function size(value) {
    const units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let unit = 0;
    while (value >= 999.5 && unit < units.length - 1) {
        value /= 1000;
        unit++;
    }
    return `${value.toFixed(unit === 0 ? 0 : digits(value))} ${units[unit]}`;
}

// How many behind the point make three in all.
function digits(value) {
    return value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
}

// A rate is NaN while it is not known.
function sizeRate(value) {
    return Number.isNaN(value) ? NONE : `${size(value)}/s`;
}

function countRate(value) {
    if (Number.isNaN(value)) {
        return NONE;
    }
    return `${value < 9.95 && value > 0 ? value.toFixed(1) : count(Math.round(value))}/s`;
}

function latency(ms) {
    const seconds = ms / 1000;
    return ms < 999.5 ? `${ms.toFixed(digits(ms))} ms` : `${seconds.toFixed(digits(seconds))} s`;
}

function duration(ms) {
    const seconds = Math.floor(ms / 1000);
    const two = (value) => String(value).padStart(2, "0");
    if (ms < 10000) {
        return `${(ms / 1000).toFixed(1)} s`;
    }
    if (seconds < 60) {
        return `${seconds} s`;
    }
    if (seconds < 3600) {
        return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
    }
    if (seconds < 86400) {
        return `${Math.floor(seconds / 3600)} h ${two(Math.floor(seconds / 60) % 60)} min`;
    }
    return `${Math.floor(seconds / 86400)} d ${two(Math.floor(seconds / 3600) % 24)} h`;
}

function clock(ms) {
    return new Date(ms).toLocaleTimeString("en-GB");
}

function date(text) {
    return new Date(text).toLocaleString("sv-SE"); // 2026-11-30 01:02:03
}

function capital(word) {
    return word.charAt(0).toUpperCase() + word.slice(1);
}

// What a stranger wrote, such as the name in a handshake: what cannot be seen, or turns the
// direction of what follows, is written as its number.
function plain(text) {
    return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (one) => `\\u{${one.codePointAt(0).toString(16)}}`);
}
