// connections: which connections are shown: asked for with filters, sorted, in pages.
// echod gives them in the order of their ids, at most so many at a time; what is sorted are these.

const LOADED_MAX = 1000; // what echod gives at most
const PAGE_ROWS = 50;

class Connections {
    #filter = find("filter");
    #rows;
    #query = "";         // what the filters say
    #cursors = [];       // after which ids the loads before this one, and this one, begin
    #next;               // where the next one begins
    #loaded = null;      // nothing yet
    #page = 0;
    #sort = {column: COLUMNS[0], isDescending: false};
    #collator = new Intl.Collator("en", {numeric: true});
    #isAsked = false;    // somebody asked for others, and is to be told
    #refresh;

    // `refresh` asks for them again, soon, which calls `load`.
    constructor(refresh) {
        this.#refresh = refresh;
        this.#rows = new Rows((sentence, isError) => {
            this.#note(sentence, isError);
            announce(sentence);
            refresh();
        });
        this.#makeHead(false);
        this.#filter.addEventListener("submit", (event) => {
            event.preventDefault();
            this.#apply();
        });
        this.#filter.addEventListener("change", () => this.#apply());
        this.#filter.addEventListener("reset", () => setTimeout(() => this.#apply()));
        this.#onPage("previous", -1);
        this.#onPage("next", 1);
    }

    setCanAct(canAct) {
        if (canAct !== this.#rows.canAct) {
            this.#rows.canAct = canAct;
            this.#makeHead(canAct);
            this.#show();
        }
    }

    async load() {
        const query = this.#query;
        const after = this.#cursors.at(-1);
        try {
            const place = after === undefined ? "" : `&after=${after}`;
            const {connections, next} = await ask(`/connections?limit=${LOADED_MAX}${query}${place}`);
            if (query !== this.#query || after !== this.#cursors.at(-1)) {
                return; // somebody asked for others meanwhile
            }
            this.#loaded = connections;
            this.#next = next;
            this.#clearError();
            this.#show();
        } catch (error) {
            this.#note(sentenceOf(error), true);
            if (this.#isAsked) {
                announce(sentenceOf(error));
            }
            this.#isAsked = false;
        }
    }

    #apply() {
        const fields = [...new FormData(this.#filter)].map(([name, value]) => [name, value.trim()]);
        const query = new URLSearchParams(fields.filter(([, value]) => value !== "")).toString();
        this.#query = query === "" ? "" : `&${query}`;
        this.#cursors = [];
        this.#page = 0;
        this.#isAsked = true;
        this.#refresh();
    }

    #onPage(id, step) {
        find(id).addEventListener("click", () => {
            if (find(id).getAttribute("aria-disabled") !== "true") {
                this.#turn(step);
            }
        });
    }

    // Go to the next page or the one before, which may have to be loaded.
    #turn(step) {
        this.#page += step;
        this.#isAsked = true;
        if (this.#page < 0) {
            this.#cursors.pop();
            this.#page = LOADED_MAX / PAGE_ROWS - 1;
            this.#refresh();
        } else if (this.#page * PAGE_ROWS >= this.#loaded.length && this.#next !== undefined) {
            this.#cursors.push(this.#next);
            this.#page = 0;
            this.#refresh();
        } else {
            this.#show();
        }
    }

    #show() {
        if (this.#loaded === null) {
            return;
        }
        const held = this.#isAsked ? null : this.#rows.heldIds();
        this.#page = Math.max(0, Math.min(this.#page, Math.ceil(this.#loaded.length / PAGE_ROWS) - 1));
        const first = this.#page * PAGE_ROWS;
        const shown = held === null ? this.#sorted().slice(first, first + PAGE_ROWS) : this.#held(held);
        this.#rows.show(shown);
        find("held").classList.toggle("is", held !== null);
        this.#showRange(first, shown.length);
        this.#showEmpty(shown.length === 0);
        if (this.#isAsked) {
            this.#isAsked = false;
            announce(find("range").textContent);
        }
    }

    #sorted() {
        if (this.#loaded.length === 0) {
            return [];
        }
        const {column: {key}, isDescending} = this.#sort;
        const sign = isDescending ? -1 : 1;
        const compare = typeof key(this.#loaded[0]) === "number" ? (a, b) => a - b : this.#collator.compare;
        return [...this.#loaded].sort((a, b) => sign * compare(key(a), key(b)) || a.id - b.id);
    }

    // The same as before, as they are now, so that nothing moves under a finger.
    #held(ids) {
        const byId = new Map(this.#loaded.map((one) => [one.id, one]));
        return ids.map((id) => byId.get(id)).filter((one) => one !== undefined);
    }

    #range(first, shown) {
        const all = count(this.#loaded.length);
        const after = this.#cursors.at(-1);
        const which = after !== undefined ? `${all} above id ${after}`
            : this.#next !== undefined ? `the first ${all}` : all;
        return shown === 0 ? "0 connections" : `${first + 1} to ${first + shown} of ${which}`;
    }

    #showRange(first, shown) {
        setText(find("range"), this.#range(first, shown));
        this.#enable("previous", first > 0 || this.#cursors.length > 0);
        this.#enable("next", first + shown < this.#loaded.length || this.#next !== undefined);
    }

    // A button that has the focus and nowhere to go stays one, so that the focus is not lost.
    #enable(id, isEnabled) {
        find(id).disabled = !isEnabled && document.activeElement !== find(id);
        find(id).setAttribute("aria-disabled", String(!isEnabled));
    }

    #showEmpty(isEmpty) {
        find("empty").hidden = !isEmpty;
        setText(find("empty"), this.#query === "" ? "Nobody is connected." : "No connection is like that.");
    }

    #makeHead(canAct) {
        const cells = COLUMNS.map((column) => {
            const cell = this.#headCell(column.name, column.isNumber);
            const button = document.createElement("button");
            button.type = "button";
            button.textContent = column.title;
            button.addEventListener("click", () => this.#sortBy(column));
            cell.append(button);
            return cell;
        });
        if (canAct) {
            const cell = this.#headCell("end", false);
            const text = document.createElement("span");
            text.className = "hidden";
            text.textContent = "End it";
            cell.append(text);
            cells.push(cell);
        }
        document.querySelector("#clients thead tr").replaceChildren(...cells);
        this.#markSorted();
    }

    #headCell(name, isNumber) {
        const cell = document.createElement("th");
        cell.scope = "col";
        cell.setAttribute("role", "columnheader");
        cell.dataset.column = name;
        cell.classList.toggle("number", isNumber === true);
        return cell;
    }

    #sortBy(column) {
        this.#sort = {column, isDescending: this.#sort.column === column && !this.#sort.isDescending};
        this.#page = 0;
        this.#isAsked = true;
        this.#markSorted();
        this.#show();
    }

    #markSorted() {
        for (const cell of document.querySelectorAll("#clients th")) {
            cell.removeAttribute("aria-sort");
            if (cell.dataset.column === this.#sort.column.name) {
                cell.setAttribute("aria-sort", this.#sort.isDescending ? "descending" : "ascending");
            }
        }
    }

    #note(sentence, isError) {
        setText(find("note"), sentence);
        find("note").dataset.kind = isError ? "error" : "done";
    }

    #clearError() {
        if (find("note").dataset.kind === "error") {
            this.#note("", false);
        }
    }
}
