//! Stand-ins for the CUDA libraries that `PyTorch`'s CUDA build links.
//!
//! On the CPU none of their functions is called, but the loader wants every library and every versioned symbol. The real
//! ones are 4 GB; these are some kilobytes, whose every function answers 999, CUDA's "unknown error". What is missing is
//! read from the libraries themselves with `objdump`, and `cc` builds the rest: both are where Rust links.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use anyhow::Context as _;

use super::super::install::Watch;
use plimsoll::exit::{self, Exit};

/// Beginnings of names of symbols without a version that CUDA's libraries define.
const CUDA_SYMBOLS: [&str; 8] = ["cu", "nccl", "nvrtc", "nvtx", "nvshmem", "nvml", "nvJit", "cudnn"];
/// Beginnings of names of CUDA's libraries.
const CUDA_LIBRARIES: [&str; 4] = ["libcu", "libnccl", "libnv", "libnvshmem"];

/// Puts a stand-in for each missing library of those in `libraries` into `into`.
pub(super) fn make(libraries: &Path, into: &Path, watch: &Watch<'_>) -> anyhow::Result<()> {
    let mut linked = Linked::default();
    let listed = fs::read_dir(libraries).with_context(|| format!("list {}", libraries.display()))?;
    for file in listed.flatten() {
        if file.file_name().to_string_lossy().contains(".so") {
            linked.read(&objdump("-p", &file.path())?, &objdump("-T", &file.path())?);
        }
    }
    fs::create_dir_all(into).with_context(|| format!("create {}", into.display()))?;
    for stub in linked.stubs() {
        let (source, map) = (into.join("stub.c"), into.join("stub.map"));
        fs::write(&source, stub.source()).context("write a stand-in")?;
        fs::write(&map, stub.version_script()).context("write a stand-in")?;
        let mut cc = Command::new("cc");
        cc.args(["-w", "-O0", "-shared", "-fPIC", "-nostdlib", "-o"])
            .arg(into.join(&stub.library))
            .arg(&source)
            .arg(format!("-Wl,-soname,{}", stub.library))
            .arg(format!("-Wl,--version-script,{}", map.display()));
        watch.run(cc)?;
    }
    Ok(())
}

fn objdump(what: &str, library: &Path) -> anyhow::Result<String> {
    let output = Command::new("objdump").arg(what).arg(library).output().map_err(|e| {
        exit::error(
            Exit::Usage,
            format!("run objdump: {e}\nhint: install a C compiler with binutils (on Debian: apt-get install gcc)"),
        )
    })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a set of libraries needs of others and defines itself.
#[derive(Debug, Default)]
struct Linked {
    needed: BTreeSet<String>,
    /// Versions by the library that they are required from.
    versions: BTreeMap<String, BTreeSet<String>>,
    /// Undefined symbols by version; those without under the empty one.
    undefined: BTreeMap<String, BTreeSet<String>>,
    defined: BTreeSet<String>,
}

impl Linked {
    /// Adds a library by what `objdump -p` and `objdump -T` say of it.
    fn read(&mut self, headers: &str, symbols: &str) {
        let mut from = None;
        for line in headers.lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words[..] {
                ["NEEDED", library] => {
                    self.needed.insert(library.to_owned());
                }
                ["required", "from", library] => {
                    from = Some(library.trim_end_matches(':').to_owned());
                }
                [hash, _, _, version] if hash.starts_with("0x") => {
                    if let Some(library) = &from {
                        self.versions.entry(library.clone()).or_default().insert(version.to_owned());
                    }
                }
                _ => from = None,
            }
        }
        for line in symbols.lines() {
            if let Some((_, rest)) = line.split_once("*UND*") {
                // Size, version in parentheses if there is one, name.
                let words: Vec<&str> = rest.split_ascii_whitespace().collect();
                let version = match words[..] {
                    [_, version, _] => version.trim_matches(['(', ')']),
                    _ => "",
                };
                let version = if version == "Base" { "" } else { version };
                if let Some(name) = words.last() {
                    self.undefined.entry(version.to_owned()).or_default().insert((*name).to_owned());
                }
            } else {
                // Address, flags, section, size, version and name; headings are shorter.
                let words: Vec<&str> = line.split_ascii_whitespace().collect();
                self.defined.extend(words.last().filter(|_| words.len() > 4).map(ToString::to_string));
            }
        }
    }

    fn stubs(&self) -> Vec<Stub> {
        let is_cuda = |library: &&String| CUDA_LIBRARIES.iter().any(|start| library.starts_with(start));
        self.needed.iter().filter(is_cuda).map(|library| self.stub(library)).collect()
    }

    fn stub(&self, library: &str) -> Stub {
        let versions = self.versions.get(library).into_iter().flatten();
        let mut symbols: BTreeMap<String, BTreeSet<String>> =
            versions.filter_map(|version| Some((version.clone(), self.undefined.get(version)?.clone()))).collect();
        if symbols.is_empty() {
            // Symbols without a version may be of any library without versions: each gets all.
            let free = self.undefined.get("").into_iter().flatten();
            let cuda = free
                .filter(|name| !self.defined.contains(*name))
                .filter(|name| CUDA_SYMBOLS.iter().any(|start| name.starts_with(start)))
                .cloned();
            symbols.insert(String::new(), cuda.collect());
        }
        Stub { library: library.to_owned(), symbols }
    }
}

/// One stand-in.
#[derive(Debug, PartialEq, Eq)]
struct Stub {
    library: String,
    /// Symbols by version.
    symbols: BTreeMap<String, BTreeSet<String>>,
}

impl Stub {
    fn source(&self) -> String {
        let names: BTreeSet<&String> = self.symbols.values().flatten().collect();
        let function = |name: &&String| format!("int {name}(void) {{ return 999; }}\n");
        let functions: String = names.iter().map(function).collect();
        format!("int plimsoll_stub;\n{functions}")
    }

    fn version_script(&self) -> String {
        let node = |(version, names): (&String, &BTreeSet<String>)| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let global = if names.is_empty() { String::new() } else { format!("global: {}; ", names.join("; ")) };
            // A node without a name must be the only one, and says what has no version.
            if version.is_empty() { "{ global: *; };\n".to_owned() } else { format!("{version} {{ {global}}};\n") }
        };
        self.symbols.iter().map(node).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as `objdump` 2.40 prints them for `PyTorch` 2.9.1's libraries.
    const HEADERS: &str = "
Dynamic Section:
  NEEDED               libnvshmem_host.so.3
  NEEDED               libcudart.so.12
  NEEDED               libnccl.so.2
  NEEDED               libc.so.6
  SONAME               libtorch_nvshmem.so

Version References:
  required from libnvshmem_host.so.3:
    0x0c1f4d2d 0x00 05 NVSHMEM
  required from libcudart.so.12:
    0x0d1ae2a2 0x00 03 libcudart.so.12
  required from libc.so.6:
    0x09691a75 0x00 02 GLIBC_2.2.5
";
    const SYMBOLS: &str = "
DYNAMIC SYMBOL TABLE:
0000000000000000      DF *UND*\t0000000000000000 (NVSHMEM)    nvshmem_malloc
0000000000000000      DF *UND*\t0000000000000000 (libcudart.so.12) cudaFree
0000000000000000      DF *UND*\t0000000000000000 (GLIBC_2.2.5) memcpy
0000000000000000      DF *UND*\t0000000000000000  Base        ncclAllReduce
0000000000000000  w   D  *UND*\t0000000000000000              cuInit
0000000000000000      DF *UND*\t0000000000000000              cublasHelper
0000000000000000      DF *UND*\t0000000000000000              PyLong_FromLong
0000000000001234 g    DF .text\t0000000000000010  Base        cublasHelper
";

    fn linked() -> Linked {
        let mut linked = Linked::default();
        linked.read(HEADERS, SYMBOLS);
        linked
    }

    #[test]
    fn versioned_symbols_go_to_the_library_they_are_required_from() {
        let stubs = linked().stubs();
        let of = |library: &str| stubs.iter().find(|stub| stub.library == library).unwrap();
        assert_eq!(of("libnvshmem_host.so.3").version_script(), "NVSHMEM { global: nvshmem_malloc; };\n");
        assert!(of("libcudart.so.12").source().contains("int cudaFree(void) { return 999; }"));
        assert!(!of("libcudart.so.12").source().contains("memcpy"));
        assert_eq!(stubs.len(), 3, "libc is there");
    }

    #[test]
    fn symbols_without_a_version_go_where_there_are_none() {
        let stubs = linked().stubs();
        let nccl = stubs.iter().find(|stub| stub.library == "libnccl.so.2").unwrap();
        let source = nccl.source();
        assert!(source.contains("ncclAllReduce") && source.contains("cuInit"), "{source}");
        assert!(!source.contains("cublasHelper"), "defined among them");
        assert!(!source.contains("PyLong"), "not CUDA's");
    }
}
