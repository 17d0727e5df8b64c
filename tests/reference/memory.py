"""Largest resident memory of this process."""


def peak_rss_mib():
    """MiB, from the kernel's account of this program alone. `ru_maxrss` would not do: Linux keeps it over exec, so it is
    never below that of the process this one was started from, here a benchmark that holds data of its own."""
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
