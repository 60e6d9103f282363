// history: what the statuses of the last minutes say together: rates, and samples of a plot.
// Draws nothing.

const HISTORY_MS = 300000;
const RATE_MS = 5000; // a rate is that of so long

const sum = (values) => values.reduce((total, value) => total + value, 0);

const bytesIn = ({bytes}) => bytes.in;
const bytesOut = ({bytes}) => bytes.out;

// How much a number grew in a second, by the clock of the service, or NaN.
function growth(before, now, pick) {
    const ms = before === undefined ? 0 : now.uptime_ms - before.uptime_ms;
    return ms > 0 ? Math.max(0, pick(now) - pick(before)) * 1000 / ms : NaN;
}

class History {
    samples = []; // {time, in, out, open, lag}; in a gap all but the time is NaN
    #recent = []; // statuses, the newest last

    add(status, time) {
        const last = this.#recent.at(-1);
        if (last !== undefined && (last.pid !== status.pid || last.started !== status.started)) {
            this.#recent = []; // another process counts from the start
        }
        const before = this.#recent.at(-1);
        this.#recent.push(status);
        while (status.uptime_ms - (this.#recent[1]?.uptime_ms ?? Infinity) >= RATE_MS) {
            this.#recent.shift();
        }
        this.#note({
            time,
            in: growth(before, status, bytesIn),
            out: growth(before, status, bytesOut),
            open: status.connections.open,
            lag: Math.max(0, ...status.loop_lag_ms),
        });
    }

    // There was no answer.
    lose(time) {
        this.#recent = [];
        this.#note({time, in: NaN, out: NaN, open: NaN, lag: NaN});
    }

    rate(pick) {
        return growth(this.#recent[0], this.#recent.at(-1), pick);
    }

    #note(sample) {
        this.samples.push(sample);
        while (sample.time - this.samples[0].time > HISTORY_MS + 15000) {
            this.samples.shift();
        }
    }
}
