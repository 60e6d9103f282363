// course: the last five minutes as three plots, and as a table for those who see no plot.
// Takes its numbers from the history.

// What may not be known.
const countOf = (value) => (Number.isNaN(value) ? NONE : count(Math.round(value)));
const latencyOf = (value) => (Number.isNaN(value) ? NONE : latency(value));

class Course {
    #plots;
    #details = document.getElementById("course");
    #drawn = -Infinity;
    #calm = matchMedia("(prefers-reduced-motion: reduce)");

    constructor() {
        const plot = (id, ...series) => new Plot(document.getElementById(id), series);
        this.#plots = [
            plot("throughput",
                {name: "Received", pick: (sample) => sample.in, least: 1000, format: sizeRate},
                {name: "Sent", pick: (sample) => sample.out, least: 1000, format: sizeRate}),
            plot("open", {name: "Open", pick: (sample) => sample.open, least: 10, format: countOf}),
            plot("lag", {name: "Longest of all workers", pick: (sample) => sample.lag, least: 1, format: latencyOf}),
        ];
    }

    // Who wants little motion gets a new picture every ten seconds.
    show(samples, now) {
        if (this.#calm.matches && now - this.#drawn < 10000) {
            return;
        }
        this.#drawn = now;
        this.#plots.forEach((plot) => plot.draw(samples, now));
        this.#tabulate(samples, now);
    }

    #tabulate(samples, now) {
        const rows = [];
        for (let end = Math.ceil(now / 30000) * 30000; end > now - HISTORY_MS; end -= 30000) {
            const part = samples.filter(({time}) => time <= end && time > end - 30000);
            rows.push([clock(end), ...this.#means(part)]);
        }
        const body = this.#details.querySelector("tbody");
        while (body.rows.length < rows.length) {
            const row = body.insertRow();
            rows[0].forEach(() => row.insertCell());
        }
        while (body.rows.length > rows.length) {
            body.deleteRow(-1);
        }
        rows.forEach((texts, i) => texts.forEach((text, j) => setText(body.rows[i].cells[j], text)));
    }

    #means(samples) {
        const mean = (name, format) => {
            const known = samples.map((one) => one[name]).filter((value) => !Number.isNaN(value));
            return format(sum(known) / known.length); // NaN where there is none
        };
        return [mean("in", sizeRate), mean("out", sizeRate), mean("open", countOf), mean("lag", latencyOf)];
    }
}
