// overview: how the service is, who it is, and what it does at this moment.
// Keeps nothing but what it said last.

const find = (id) => document.getElementById(id);

function setText(element, text) {
    if (element.textContent !== text) { // what stays is not written again: a selection lives on
        element.textContent = text;
    }
}

// Have a <dl> say these: an array of a term, its text, and more of these.
function setPairs(list, pairs) {
    if (list.children.length !== pairs.length) {
        list.replaceChildren(...pairs.map(() => {
            const pair = document.createElement("div");
            pair.append(document.createElement("dt"), document.createElement("dd"));
            return pair;
        }));
    }
    pairs.forEach(([term, text], i) => {
        setText(list.children[i].firstChild, term);
        setText(list.children[i].lastChild, text);
    });
}

// Say something to those who do not see the page. Nothing is said again and again.
function announce(sentence) {
    find("announcement").textContent = sentence;
}

const STATES = {
    running: "Running",
    draining: "Draining, lets nobody in",
    lost: "No answer",
};

class Overview {
    #state = find("state");
    #freshness = find("freshness");
    #heard = null; // when there was an answer last

    show(status, history, time) {
        this.#heard = time;
        this.#setState(status.state, status.hostname);
        this.setFreshness(false);
        setText(find("host"), plain(status.hostname));
        this.#showFacts(status);
        this.#showReadings(status, history);
    }

    lose(sentence) {
        this.#setState("lost", find("host").textContent);
        setText(this.#freshness, `${sentence} Trying again. ` +
            (this.#heard === null ? "" : `All below is as of ${clock(this.#heard)}.`));
    }

    setFreshness(isPaused) {
        const when = this.#heard === null ? "Nothing has been received yet." : `As of ${clock(this.#heard)}.`;
        setText(this.#freshness, isPaused ? `${when} Paused.` : when);
    }

    #setState(state, host) {
        const words = STATES[state] ?? capital(state);
        if (this.#state.dataset.state === state) {
            return;
        }
        const isFirst = this.#state.dataset.state === "unknown";
        this.#state.dataset.state = state;
        setText(this.#state, words);
        document.title = (state === "running" ? "" : `${words.split(",")[0]}: `) + `echod ${plain(host)}`;
        if (!isFirst || state !== "running") {
            announce(`The service: ${words}.`);
        }
    }

    #showFacts(status) {
        setPairs(find("facts"), [
            ["Version", status.version],
            ["Up for", duration(status.uptime_ms)],
            ["Since", date(status.started)],
            ["Process", String(status.pid)],
            ["Received in all", size(bytesIn(status))],
            ["Sent in all", size(bytesOut(status))],
            ["Accepted in all", count(status.connections.accepted)],
            ["Log level", status.log_level],
            ["Log lines dropped", count(status.log_dropped)],
            ["Reloads", count(status.reloads)],
        ]);
    }

    #showReadings(status, history) {
        const {open, max, refused} = status.connections;
        const readings = {
            received: sizeRate(history.rate(bytesIn)),
            sent: sizeRate(history.rate(bytesOut)),
            queued: size(status.bytes.queued),
            open: `${count(open)} of ${count(max)}`,
            arrivals: countRate(history.rate((one) => one.connections.accepted)),
            refused: count(refused),
            lag: latency(Math.max(0, ...status.loop_lag_ms)),
            workers: count(status.workers),
            datagrams: countRate(history.rate((one) => one.datagrams.in)),
        };
        for (const [name, text] of Object.entries(readings)) {
            setText(document.querySelector(`[data-reading="${name}"]`), text);
        }
    }
}
