// main: what the page does, again and again.
// In the background it asks less, and while it is paused not at all.

const history = new History();
const overview = new Overview();
const course = new Course();
const listeners = new Listeners();
let isPaused = false;

const refreshConnections = repeat(() => connections.load(),
    () => (isPaused || document.hidden ? null : 2000));
const connections = new Connections(refreshConnections);

async function showStatus() {
    try {
        const status = await ask("/status");
        history.add(status, Date.now());
        overview.show(status, history, Date.now());
        listeners.show(status, history);
        connections.setCanAct(status.can_act);
    } catch (error) {
        history.lose(Date.now());
        overview.lose(sentenceOf(error));
    }
    course.show(history.samples, Date.now());
}

const refreshStatus = repeat(showStatus, () => (isPaused ? null : document.hidden ? 10000 : 1000));

function refresh() {
    refreshStatus();
    refreshConnections();
}

document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !isPaused) {
        refresh();
    }
});

const pause = find("pause");
pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.setAttribute("aria-pressed", String(isPaused));
    overview.setFreshness(isPaused);
    if (!isPaused) {
        refresh();
    }
});

refresh();
