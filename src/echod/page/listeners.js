// listeners: the table of these, and their names among the filters.
// Takes rates from the history, by the name of a listener.

// Why datagrams got no answer.
const DROPS = ["from_low_port", "from_own_port", "from_no_host", "to_many", "without_hops",
    "above_rate", "while_paused", "failed", "overflowed"];

const LISTENER_CELLS = ["State", "Open", "New", "Received", "Sent", "Accepted", "Refused"];

class Listeners {
    #body = document.querySelector("#listeners tbody");
    #names = "";

    show({listeners}, history) {
        const names = JSON.stringify(listeners.map(({name, address}) => [name, address]));
        if (names !== this.#names) {
            this.#names = names;
            this.#body.replaceChildren(...listeners.map((one) => this.#row(one)));
            this.#offer(listeners.filter((one) => !one.datagrams).map(({name}) => name));
        }
        listeners.forEach((one, i) => this.#fill(this.#body.rows[i], one, history));
    }

    #row(listener) {
        const row = document.createElement("tr");
        const head = document.createElement("th");
        head.scope = "row";
        head.append(this.#span("name", listener.name));
        if (listener.address !== listener.name) {
            head.append(this.#span("address", listener.address));
        }
        const cells = LISTENER_CELLS.map((label, i) => {
            const cell = document.createElement("td");
            cell.setAttribute("role", "cell");
            cell.className = i === 0 ? "" : "number";
            if (i > 0) {
                cell.dataset.label = label;
            }
            return cell;
        });
        cells[0].append(this.#span("state", ""));
        row.setAttribute("role", "row");
        head.setAttribute("role", "rowheader");
        row.append(head, ...cells);
        return row;
    }

    #span(className, text) {
        const span = document.createElement("span");
        span.className = className;
        span.textContent = plain(text);
        return span;
    }

    #fill(row, listener, history) {
        const state = row.cells[1].firstChild;
        state.dataset.state = listener.state;
        setText(state, capital(listener.state) + (listener.tls ? ", TLS" : ""));
        const rate = (counter) => history.rate((status) => this.#counter(status, listener, counter));
        const texts = listener.datagrams ? this.#ofDatagrams(listener.counters, rate)
            : this.#ofConnections(listener, rate);
        texts.forEach((text, i) => setText(row.cells[i + 2], text));
    }

    // What was counted then; a reload may have brought a listener, or moved it in the list.
    #counter({listeners}, {name, address}, counter) {
        const then = listeners.find((one) => one.name === name && one.address === address);
        return then?.counters[counter] ?? 0;
    }

    #ofConnections({open, max, counters}, rate) {
        const refusals = Object.keys(counters).filter((name) => name.startsWith("refused"));
        return [`${count(open)} of ${count(max)}`, countRate(rate("accepted")),
            sizeRate(rate("in_bytes")), sizeRate(rate("out_bytes")), count(counters.accepted),
            count(sum(refusals.map((name) => counters[name])))];
    }

    #ofDatagrams(counters, rate) {
        return [NONE, countRate(rate("datagrams_in")), sizeRate(rate("datagram_in_bytes")),
            sizeRate(rate("datagram_out_bytes")), count(counters.datagrams_in),
            count(sum(DROPS.map((name) => counters[name] ?? 0)))];
    }

    // Offer the names as filters; the one that was chosen stays so.
    #offer(names) {
        const select = document.querySelector("#filter [name=listener]");
        const chosen = select.value;
        select.length = 1;
        for (const name of new Set(names)) {
            select.add(new Option(plain(name), name, false, name === chosen));
        }
    }
}
