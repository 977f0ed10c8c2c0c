"""Confinement: what stands between an untrusted script and this machine. Linux only.

    warm        a parent with the libraries imported; each run is served by a fork of it, as by:
    launch      the program: one run of one script       python -I -S, a few milliseconds
    |-- confine     give up everything, in a forked child
    |   |-- root        a new root of read-only views
    |   |-- landlock    a second wall around files and network
    |   `-- seccomp     a third: system calls that no experiment needs
    `-- supervise   stop what goes too far               harvest    take the files that may leave
    script      run a script in the confined child of a warm parent

Where namespaces are forbidden, in the place of `launch` and `confine`:

    reduced     the program: confine with landlock, seccomp and calls (a second filter)
    unconfined  the program: confine nothing; only ever by the user's explicit wish
    |-- processes   a process group that nobody leaves       scratch    a folder in place of a disk

Covered, with namespaces: files, network, other processes, environment, devices, kernel interfaces,
what is left behind, and limits on wall time, processor, memory, disk, processes and output.
Not covered: bugs of the kernel itself (this is not a virtual machine), GPUs, side channels such as
timing and the page cache; the names of the host folders that are mounted can be read in
/proc/self/mountinfo. Page cache and kernel memory are bounded only through the other limits.

Standard library and relative imports only, and none that is slow to import (typing, json, enum,
dataclasses): the launcher starts without any installed package, once for every experiment.
"""
