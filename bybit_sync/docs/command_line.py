"""The command line: what each command is for, and all of its options.

``pip install 'bybit-sync[cli]'`` installs the command ``bybit-sync``. A key comes from
the environment (``BYBIT_API_KEY``, ``BYBIT_API_SECRET``), from ``--key-file`` or from a
prompt, never from an argument. ``--simulate`` takes a simulated account instead.

## From a new key to a recording

```sh
bybit-sync check                            # what works; what does not, and why
bybit-sync watch                            # the account, live
bybit-sync account --json | jq .positions   # as it is now, for scripts
bybit-sync record day.jsonl --rotate 100M   # every frame, until Ctrl-C
gzip day.jsonl.*                            # rotated files may be packed
bybit-sync stats day.jsonl --plot day.png   # rates, latencies and gaps
bybit-sync replay day.jsonl --speed 60      # watch it again, a minute in a second
```

``--plot`` needs the extra ``plot``. The exit codes are the same for every command: 0 is
done, 3 not reached, 4 refused, 5 a file. With ``--json`` events are printed in the form
of `bybit_sync.to_dict`, one in a line, numbers as texts.

## The commands

``bybit-sync COMMAND --help`` shows the options of a command; the site has them here.
"""
