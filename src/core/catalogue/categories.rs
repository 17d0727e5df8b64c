//! Category paths and top-level categories, interned: numbers in order of first use.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A top-level category, interned: an index into [`Catalogue::category_name`](super::Catalogue::category_name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CategoryId(pub u32);

/// A category path, interned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PathId(pub u32);

/// All paths that any item has had.
#[derive(Clone, Debug, Default)]
pub(super) struct Categories {
    names: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, CategoryId>,
    /// By [`PathId`], never empty ones.
    paths: Vec<(Arc<[String]>, CategoryId)>,
    path_ids: HashMap<Arc<[String]>, PathId>,
}

impl Categories {
    /// Number of a path; `None` for the empty one. Copies the table when the path is new and others share it.
    pub(super) fn intern(table: &mut Arc<Self>, path: &[String]) -> Option<PathId> {
        let top = path.first()?;
        if let Some(id) = table.path_ids.get(path) {
            return Some(*id);
        }
        let table = Arc::make_mut(table);
        let top = match table.ids.get(top.as_str()) {
            Some(id) => *id,
            None => {
                let id = CategoryId(u32::try_from(table.names.len()).unwrap_or(u32::MAX));
                let name: Arc<str> = top.as_str().into();
                table.names.push(Arc::clone(&name));
                table.ids.insert(name, id);
                id
            }
        };
        let id = PathId(u32::try_from(table.paths.len()).unwrap_or(u32::MAX));
        let path: Arc<[String]> = path.into();
        table.paths.push((Arc::clone(&path), top));
        table.path_ids.insert(path, id);
        Some(id)
    }

    pub(super) fn top(&self, path: PathId) -> Option<CategoryId> {
        self.paths.get(path.0 as usize).map(|(_, top)| *top)
    }

    pub(super) fn name(&self, id: CategoryId) -> Option<&str> {
        self.names.get(id.0 as usize).map(AsRef::as_ref)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }

    pub(super) fn find(&self, name: &str) -> Option<CategoryId> {
        self.ids.get(name).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// In order of id.
    pub(super) fn paths(&self) -> impl Iterator<Item = &[String]> {
        self.paths.iter().map(|(path, _)| path.as_ref())
    }

    /// By path, whether it begins with `prefix`.
    pub(super) fn below(&self, prefix: &[String]) -> Vec<bool> {
        self.paths.iter().map(|(path, _)| path.starts_with(prefix)).collect()
    }
}
