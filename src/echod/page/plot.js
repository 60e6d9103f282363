// plot: lines over the last five minutes, in a figure that has the elements for it.
// Knows neither what the lines mean nor where the samples come from.

// The smallest of 1, 2, 5, 10, 20 ... that is not below a value.
function roundedUp(value) {
    const power = 10 ** Math.floor(Math.log10(value));
    return power * [1, 2, 5, 10].find((step) => value <= power * step * 1.000001);
}

class Plot {
    #figure;
    #series; // [{name, pick, least, format}]
    #samples = [];
    #now = 0;
    #pointed = null; // the time that a pointer is at, as a part of the whole

    constructor(figure, series) {
        this.#figure = figure;
        this.#series = series;
        const plot = figure.querySelector(".plot");
        plot.addEventListener("pointermove", ({offsetX}) => this.#point(offsetX / plot.clientWidth));
        plot.addEventListener("pointerleave", () => this.#point(null));
    }

    draw(samples, now) {
        this.#samples = samples.filter((sample) => now - sample.time <= HISTORY_MS);
        this.#now = now;
        const [{format, least}] = this.#series;
        const top = roundedUp(Math.max(least, ...this.#known()));
        this.#find(".top").textContent = format(top).replace(/\.0+ /, " ");
        const lines = this.#figure.querySelectorAll(".line");
        this.#series.forEach(({pick}, i) => lines[i].setAttribute("d", this.#path(pick, top)));
        this.#find("svg").setAttribute("aria-label", this.#inWords());
        this.#read();
    }

    #find(selector) {
        return this.#figure.querySelector(selector);
    }

    #known(series = this.#series) {
        const values = series.flatMap(({pick}) => this.#samples.map(pick));
        return values.filter((value) => !Number.isNaN(value));
    }

    // What is not known is a gap; a sample between two of them is a dot.
    #path(pick, top) {
        let isOpen = false;
        return this.#samples.map((sample) => {
            const x = (300 - (this.#now - sample.time) * 300 / HISTORY_MS).toFixed(1);
            const y = (100 - pick(sample) * 100 / top).toFixed(1);
            const wasOpen = isOpen;
            isOpen = y !== "NaN";
            return !isOpen ? "" : wasOpen ? `L${x} ${y}` : `M${x} ${y}h0`;
        }).join("");
    }

    #inWords() {
        const sentences = this.#series.map((one) => {
            const known = this.#known([one]);
            if (known.length === 0) {
                return `${one.name}: not known yet.`;
            }
            const [least, most, last] = [Math.min(...known), Math.max(...known), known.at(-1)];
            return `${one.name}: from ${one.format(least)} to ${one.format(most)}, now ${one.format(last)}.`;
        });
        return `${this.#find("figcaption").textContent} in the last five minutes. ${sentences.join(" ")}`;
    }

    #point(part) {
        this.#pointed = part;
        this.#read();
    }

    // Say what was there where the pointer is.
    #read() {
        if (this.#pointed === null || this.#samples.length === 0) {
            this.#find(".cursor").setAttribute("d", "");
            this.#find(".at").textContent = "";
            return;
        }
        const time = this.#now - (1 - this.#pointed) * HISTORY_MS;
        const sample = this.#samples.findLast((one) => one.time <= time) ?? this.#samples[0];
        const values = this.#series.map(({pick, format}) => format(pick(sample)));
        this.#find(".cursor").setAttribute("d", `M${(this.#pointed * 300).toFixed(1)} 0V100`);
        this.#find(".at").textContent = `${clock(sample.time)}: ${values.join(", ")}`;
    }
}
