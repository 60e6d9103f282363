// rows: the rows of the table of connections, one for each id as long as it is shown.
// Neither asks nor sorts: it is told which connections, in which order.

// The columns: what they are sorted by, and what they say.
const COLUMNS = [
    {name: "id", title: "Id", key: (one) => one.id},
    textColumn("listener", "Listener", (one) => one.listener),
    textColumn("peer", "Peer", (one) => one.peer),
    textColumn("state", "State", (one) => capital(one.state)),
    numberColumn("age", "Age", (one) => one.age_ms, duration),
    numberColumn("idle", "Idle", (one) => one.idle_ms, duration),
    numberColumn("in", "Received", (one) => one.in_bytes, size),
    numberColumn("out", "Sent", (one) => one.out_bytes, size),
    numberColumn("queued", "Queued", (one) => one.queued_bytes, size),
    textColumn("tls", "TLS", (one) => one.tls?.version ?? NONE),
];

function textColumn(name, title, key) {
    return {name, title, key, text: (one) => plain(key(one))};
}

function numberColumn(name, title, key, format) {
    return {name, title, key, text: (one) => format(key(one)), isNumber: true};
}

class Rows {
    #body = document.querySelector("#clients tbody");
    #rows = new Map(); // by id
    #tell;
    #canHover = matchMedia("(hover: hover)");
    canAct = false;

    constructor(tell) {
        this.#tell = tell;
    }

    // The ids in the table while somebody is in it, with the keyboard or a mouse, or else null.
    heldIds() {
        const isBusy = this.#body.matches(this.#canHover.matches ? ":focus-within, :hover" : ":focus-within");
        return isBusy ? [...this.#body.rows].map((row) => Number(row.dataset.id)) : null;
    }

    show(connections) {
        const ids = new Set(connections.map(({id}) => id));
        const focused = document.activeElement?.closest?.("#clients tbody tr") ?? null;
        const place = focused?.sectionRowIndex;
        const column = document.activeElement?.closest?.("td")?.dataset.column;
        for (const [id, row] of this.#rows) {
            if (!ids.has(id) || row.isActing !== this.canAct) {
                row.element.remove();
                this.#rows.delete(id);
            }
        }
        this.#arrange(connections.map((one) => this.#fill(one)));
        if (focused !== null && !focused.isConnected) {
            this.#focusNear(place, column);
        }
    }

    // Put them in order; what stands where it is to be is not touched.
    #arrange(elements) {
        let place = this.#body.firstChild;
        for (const element of elements) {
            if (element === place) {
                place = place.nextSibling;
            } else {
                this.#body.insertBefore(element, place);
            }
        }
    }

    // The row that had the focus is gone: whoever uses the keyboard goes on in the one at its place.
    #focusNear(place, column) {
        const row = this.#body.rows[Math.min(place, this.#body.rows.length - 1)];
        (row?.querySelector(`[data-column="${column}"] button`) ?? find("connections")).focus();
    }

    #fill(connection) {
        const row = this.#rows.get(connection.id) ?? this.#add(connection.id);
        row.connection = connection;
        COLUMNS.forEach(({text}, i) => {
            if (text !== undefined) {
                setText(row.element.cells[i], text(connection));
            }
        });
        return row.element;
    }

    #add(id) {
        const row = {element: document.createElement("tr"), isActing: this.canAct};
        row.element.dataset.id = id;
        row.element.setAttribute("role", "row");
        row.element.append(...COLUMNS.map((column) => this.#cell(column)));
        row.element.cells[0].append(this.#button(String(id), `Connection ${id}: details`, "link",
            () => showDetails(row.connection)));
        if (this.canAct) {
            const cell = this.#cell({name: "end"});
            cell.append(this.#button("End", `End connection ${id}`, "",
                () => askToEnd(row.connection, this.#tell)));
            row.element.append(cell);
        }
        this.#rows.set(id, row);
        return row;
    }

    #cell({name, title, isNumber}) {
        const cell = document.createElement("td");
        cell.setAttribute("role", "cell");
        cell.dataset.column = name;
        cell.className = isNumber ? "number" : "foreign";
        if (title !== undefined && name !== "id") {
            cell.dataset.label = title;
        }
        return cell;
    }

    #button(text, label, className, act) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = text;
        button.className = className;
        button.setAttribute("aria-label", label);
        button.addEventListener("click", act);
        return button;
    }
}
