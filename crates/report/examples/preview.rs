//! Writes the reports of the three test runs into a folder, for looking at charts and pages while working on them:
//! `cargo run -p report --example preview -- target/preview`.

use std::{fs, path::PathBuf};

use report::{Language, console, render};

#[path = "../tests/it/fixture.rs"]
mod fixture;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("hint: name a folder to write to")?);
    let runs = [("rtx3090", fixture::rtx3090()), ("llama_cpp", fixture::llama_cpp()), ("partial", fixture::partial())];
    for (name, (run, summary)) in runs {
        for language in Language::ALL {
            for file in render(&run, &summary, language)? {
                let path = folder.join(name).join(&file.path);
                fs::create_dir_all(path.parent().ok_or("path has a folder")?)?;
                fs::write(path, file.bytes)?;
            }
            let text = console(&summary, language, 100);
            fs::write(folder.join(name).join(format!("console.{}.txt", language.tag())), text)?;
        }
    }
    Ok(())
}
