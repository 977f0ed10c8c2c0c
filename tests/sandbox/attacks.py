"""Attacks of which every attempt succeeds where there is no box: see `test_positive_control`.

Each returns the text of a script in which `attempt` prints how each try ended (see `canaries`).
"""

import os

from canaries import Outside


def look_for_labels(outside: Outside) -> str:
    return f"""
        answers, folder = {str(outside.answers)!r}, {str(outside.folder)!r}
        attempt("beside", lambda: open("data/../private/answers.csv").read())
        attempt("absolute", lambda: open(answers).read())
        attempt("list", lambda: os.listdir(folder))
        attempt("stat", lambda: os.stat(answers))
        attempt("above", lambda: open("/.." + answers).read())
        """


def look_around(outside: Outside) -> str:
    return f"""
        folder = {str(outside.folder)!r}
        attempt("var", lambda: os.listdir("/var"))
        attempt("sockets", lambda: os.lstat(folder + "/socket"))
        attempt("space", lambda: os.statvfs(folder))
        attempt("go there", lambda: os.close(os.open(folder, os.O_PATH)))
        attempt("run", lambda: os.listdir("/run"))
        """


def follow_proc(outside: Outside) -> str:
    return f"""
        for root in ("self/root", "thread-self/root"):
            attempt(root, lambda: open("/proc/" + root + {str(outside.answers)!r}).read())
        """


def take_labels(outside: Outside) -> str:
    return f"""
        answers = {str(outside.answers)!r}
        attempt("hard link", lambda: os.link(answers, "hard"))
        attempt("symbolic link", lambda: open(os.symlink(answers, "soft") or "soft").read())
        attempt("rename", lambda: os.rename(answers, "moved"))
        """


def read_secrets(outside: Outside) -> str:
    return f"""
        def read(pid):
            environment = open(f"/proc/{{pid}}/environ").read()
            if {outside.secret!r} not in environment:
                raise OSError(61, "no secret")
        attempt("own environment", lambda: read("self"))
        attempt("another's environment", lambda: read({outside.process.pid}))
        attempt("handle", lambda: os.close(os.pidfd_open({outside.process.pid})))
        """


def stop_others(outside: Outside) -> str:
    return f"""
        attempt("ask", lambda: os.kill({outside.process.pid}, 0))
        attempt("parent", lambda: os.kill({os.getpid()}, 0))
        attempt("kill", lambda: os.kill({outside.process.pid}, 9))
        """


def write_outside(outside: Outside) -> str:
    return f"""
        folder = {str(outside.folder)!r}
        attempt("new file", lambda: open(folder + "/x", "w"))
        attempt("new folder", lambda: os.mkdir(folder + "/folder"))
        attempt("labels", lambda: open({str(outside.answers)!r}, "a").write("x"))
        """


def change_data(outside: Outside) -> str:
    del outside
    return """
        attempt("mode", lambda: os.chmod("data/train.csv", 0o777))
        attempt("time", lambda: os.utime("data/train.csv"))
        attempt("append", lambda: open("data/train.csv", "a"))
        attempt("truncate", lambda: os.truncate("data/train.csv", 0))
        attempt("create", lambda: open("data/new", "w"))
        attempt("unlink", lambda: os.unlink("data/train.csv"))
        """


def use_the_network(outside: Outside) -> str:
    return f"""
        port = {outside.tcp.getsockname()[1]}
        attempt("tcp", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close())
        attempt("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close())
        attempt("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close())
        attempt("connect", lambda: socket.create_connection(("127.0.0.1", port), 1).close())
        """


def connect_by_path(outside: Outside) -> str:
    return f"""
        address = {str(outside.folder / "socket")!r}
        attempt("path", lambda: socket.socket(socket.AF_UNIX).connect(address))
        """


def connect_by_abstract_name(outside: Outside) -> str:
    return f"""
        address = "\\0" + {outside.abstract!r}
        attempt("abstract", lambda: socket.socket(socket.AF_UNIX).connect(address))
        """


def take_uncounted_memory(outside: Outside) -> str:
    del outside
    return """
        import mmap
        attempt("memory file", lambda: os.close(os.memfd_create("x")))
        attempt("shared memory", lambda: len(mmap.mmap(-1, 1 << 20)))
        zero = lambda: os.open("/dev/zero", os.O_RDWR)
        attempt("zeroes", lambda: len(mmap.mmap(zero(), 1 << 20)))
        """


OUTLIVE_THE_RUN = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in range(3):
            os.close(fd)
        time.sleep(0.5)
        open("late.txt", "w").close()
        time.sleep(60)
    os._exit(0)
os.wait()
"""
LEAVE_SOMETHING = """
for folder in ("/tmp", "/dev/shm"):
    open(f"{folder}/{sys.argv[1]}", "w").close()
"""
"""With `FIND_IT`, which is run after it: something reaches the next run."""
FIND_IT = """
for folder in ("/tmp", "/dev/shm"):
    attempt(folder, lambda: os.unlink(f"{folder}/{sys.argv[1]}"))
"""
