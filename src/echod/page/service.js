// service: asks echod, and does so again and again.
// Knows nothing of what the answers mean.

// What echod refuses, in its own sentence.
class Refusal extends Error {
    constructor(status, sentence) {
        super(sentence);
        this.status = status;
    }
}

async function ask(path, method = "GET") {
    const signal = AbortSignal.timeout(10000);
    const answer = await fetch(path, {method, signal, cache: "no-store"});
    const body = await answer.json().catch(() => null);
    if (!answer.ok || body === null) {
        const sentence = body?.error ?? `The service answered with status ${answer.status}.`;
        throw new Refusal(answer.status, sentence);
    }
    return body;
}

function sentenceOf(error) {
    return error instanceof Refusal ? error.message : "The service cannot be reached.";
}

// Return a function that runs a task at once, or once more after its present run, and from then on
// again and again: so many milliseconds after its end as `rest` says, or not if that is null.
function repeat(task, rest) {
    let timer = 0;
    let isRunning = false;
    let isAskedAgain = false;

    return async function turn() {
        clearTimeout(timer);
        isAskedAgain = isRunning;
        if (isRunning) {
            return;
        }
        isRunning = true;
        try {
            await task();
        } finally {
            isRunning = false;
            const ms = isAskedAgain ? 0 : rest();
            if (ms !== null) {
                timer = setTimeout(turn, ms);
            }
        }
    };
}
