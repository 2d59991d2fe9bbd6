//! Files, folders and standard input of `-f`.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use weft_api::client::ClientError;
use weft_api::document::{Located, Source};
use weft_api::kind::Reference;

use crate::exit::Failure;

/// `-f`, as often as wanted.
#[derive(Debug, Args)]
pub(crate) struct Files {
    /// File of YAML or JSON documents, folder of such files, or - (standard input); repeatable
    #[arg(short, long = "file", visible_alias = "filename", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

impl Files {
    /// Reads all of them; a folder's files in the order of their names.
    pub(crate) fn read(&self) -> Result<Vec<Source>> {
        if self.files.iter().filter(|file| is_stdin(file)).count() > 1 {
            return Err(
                Failure::Usage("-f - was given twice, but there is one standard input".to_owned()).into()
            );
        }
        let mut sources = Vec::new();
        for file in &self.files {
            if is_stdin(file) {
                let text = io::read_to_string(io::stdin()).context("standard input")?;
                sources.push(Source { name: "stdin".to_owned(), text });
            } else if file.is_dir() {
                sources.extend(folder(file)?.iter().map(|file| read(file)).collect::<Result<Vec<_>>>()?);
            } else {
                sources.push(read(file)?);
            }
        }
        Ok(sources)
    }
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn read(file: &Path) -> Result<Source> {
    let name = file.display().to_string();
    let mut text = String::new();
    fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text)).context(name.clone())?;
    Ok(Source { name, text })
}

fn folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let context = || folder.display().to_string();
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(context)? {
        let file = entry.with_context(context)?.path();
        let ending = file.extension().and_then(|ending| ending.to_str());
        if matches!(ending, Some("yaml" | "yml" | "json")) && !file.is_dir() {
            files.push(file);
        }
    }
    anyhow::ensure!(!files.is_empty(), "{}: no *.yaml, *.yml or *.json in this folder", folder.display());
    files.sort();
    Ok(files)
}

/// Adds the position in the input, of the field at fault if it is known, to each object that the daemon refused.
pub(crate) fn locate<T>(
    error: ClientError,
    input: &[Located<T>],
    reference: impl Fn(&T) -> Reference,
) -> ClientError {
    let ClientError::Refused { status, mut problems } = error else { return error };
    let objects: HashMap<_, _> =
        input.iter().map(|located| (reference(&located.value).to_string(), located)).collect();
    for problem in &mut problems {
        if let Some(found) = objects.get(&problem.object) {
            let position = match &problem.field {
                Some(field) => found.position_of(field),
                None => found.position.clone(),
            };
            problem.object = format!("{} at {position}", problem.object);
        }
    }
    ClientError::Refused { status, problems }
}
