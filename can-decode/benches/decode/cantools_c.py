"""The peer: C as cantools generates it, and a dispatcher that decodes every active signal to a double in an array.

    cantools_c.py DBC FOLDER     writes peer.c, peer.h (cantools) and dispatch.c
"""

import sys
from pathlib import Path

import cantools
from cantools.database.can import c_source
from cantools.database.utils import sort_signals_by_start_bit


def decode(prefix, message, node, indent, lines):
    """Decodes of one level of the multiplexing tree; inactive branches are left out, as ours does."""
    pad = "    " * indent
    names = {signal.signal.name: signal.snake_name for signal in message.cg_signals}

    def one(name):
        snake = names[name]
        lines.append(f"{pad}out[n++] = {prefix}_{message.snake_name}_{snake}_decode(m.{snake});")

    for entry in node:
        if isinstance(entry, str):
            one(entry)
            continue
        ((selector, branches),) = entry.items()
        one(selector)
        lines.append(f"{pad}switch (m.{names[selector]}) {{")
        for value, branch in branches.items():
            lines.append(f"{pad}case {value}:")
            decode(prefix, message, branch, indent + 1, lines)
            lines.append(f"{pad}    break;")
        lines.append(f"{pad}default: break;")
        lines.append(f"{pad}}}")


def main(dbc, folder):
    database = cantools.database.load_file(dbc, strict=False, sort_signals=sort_signals_by_start_bit)
    header, source, _, _ = c_source.generate(database, "peer", "peer.h", "peer.c", "fuzz.c")
    (folder / "peer.h").write_text(header)
    (folder / "peer.c").write_text(source)
    lines = [
        '#include "frame.h"',
        '#include "peer.h"',
        "",
        "/* As many values as it put into out. */",
        "int decode(const struct frame *f, double *out)",
        "{",
        "    int n = 0;",
        "    switch (f->id) {",
    ]
    for raw in database.messages:
        message = c_source.CodeGenMessage(raw)
        name = message.snake_name
        flag = 0x80000000 if raw.is_extended_frame else 0
        lines.append(f"    case {raw.frame_id | flag:#x}u: {{")
        if raw.signals:
            lines.append(f"        struct peer_{name}_t m;")
            lines.append(f"        if (peer_{name}_unpack(&m, f->data, f->len) != 0) return 0;")
            decode("peer", message, raw.signal_tree, 2, lines)
        lines.append("        return n;")
        lines.append("    }")
    lines += ["    default: return 0;", "    }", "}", ""]
    (folder / "dispatch.c").write_text("\n".join(lines))


main(sys.argv[1], Path(sys.argv[2]))
