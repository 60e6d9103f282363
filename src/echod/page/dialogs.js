// dialogs: all that is known of one connection, and the question whether to end it.
// Ends it by a request; that it is gone, the next list says.

// Open a dialog, and give the focus back where it was, or to the title where that is gone.
function openDialog(dialog) {
    const before = document.activeElement;
    dialog.showModal();
    dialog.addEventListener("close", () => {
        (before.isConnected ? before : find("connections")).focus();
    }, {once: true});
}

for (const button of document.querySelectorAll("dialog [data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
}

function showDetails(connection) {
    const dialog = find("details");
    const {tls} = connection;
    setText(find("details-title"), `Connection ${connection.id}`);
    setPairsFlat(dialog.querySelector("dl"), [
        ["Peer", plain(connection.peer)],
        ["By the proxy", connection.via && plain(connection.via)],
        ["Listener", plain(connection.listener)],
        ["State", capital(connection.state)],
        ["Age", duration(connection.age_ms)],
        ["Idle for", duration(connection.idle_ms)],
        ["Received", `${count(connection.in_bytes)} bytes`],
        ["Sent", `${count(connection.out_bytes)} bytes`],
        ["Queued", `${count(connection.queued_bytes)} bytes`],
        ["Worker", String(connection.worker)],
        ["TLS", tls && `${plain(tls.version)}, ${plain(tls.cipher)}${tls.resumed ? ", resumed" : ""}`],
        ["Server name (SNI)", tls?.sni && plain(tls.sni)],
        ["Protocol (ALPN)", tls?.alpn && plain(tls.alpn)],
        ["Certificate of the client", tls?.subject && plain(tls.subject)],
    ]);
    openDialog(dialog);
}

// Have a <dl> that is a grid say those pairs that have a text.
function setPairsFlat(list, pairs) {
    list.replaceChildren(...pairs.filter(([, text]) => text).flat().map((text, i) => {
        const element = document.createElement(i % 2 === 0 ? "dt" : "dd");
        element.textContent = text;
        return element;
    }));
}

// Ask, end the connection if the answer is yes, and call `tell` with a sentence and whether it failed.
function askToEnd(connection, tell) {
    const dialog = find("ending");
    setText(find("ending-title"), `End connection ${connection.id}?`);
    setText(find("ending-whose"), `${plain(connection.peer)} at ${plain(connection.listener)}, ` +
        `open for ${duration(connection.age_ms)}.`);
    find("ending-reset").checked = false;
    find("ending-do").onclick = () => {
        dialog.close();
        end(connection.id, find("ending-reset").checked, tell);
    };
    openDialog(dialog);
}

async function end(id, isReset, tell) {
    try {
        await ask(`/connections/${id}${isReset ? "?abort=1" : ""}`, "DELETE");
        tell(`Connection ${id} ${isReset ? "was reset" : "is ending"}.`, false);
    } catch (error) {
        tell(error.status === 404 ? `Connection ${id} had ended already.` : sentenceOf(error), true);
    }
}
