//! Finds a file's references: imports, and paths in expressions, types, attributes and the tokens
//! of macros, each resolved to a path from a crate's root.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    UseTree,
    ext::IdentExt,
    visit::{self, Visit},
};

type Segments = Vec<String>;

/// A path as written, and the module that contains it.
type Written = (Segments, Segments);

#[derive(Default)]
struct Collector {
    module: Segments,
    paths: Vec<Written>,
    /// The path that a name in a module stands for.
    names: BTreeMap<(Segments, String), Segments>,
    /// Glob imports.
    globs: Vec<Written>,
}

/// All references of a file. Those within the crate begin with `crate`.
pub(super) fn references(
    module: &[String],
    text: &str,
    modules: &BTreeSet<Segments>,
) -> BTreeSet<Segments> {
    let mut collector = Collector {
        module: module.to_vec(),
        ..Collector::default()
    };
    collector.visit_file(&syn::parse_file(text).unwrap());
    let written = collector.paths.iter().chain(&collector.globs);
    written
        .map(|(module, path)| collector.resolve(module, path, modules, 0))
        .collect()
}

impl Collector {
    fn resolve(
        &self,
        module: &[String],
        path: &[String],
        modules: &BTreeSet<Segments>,
        depth: usize,
    ) -> Segments {
        let own = |module: &[String], rest: &[String]| -> Segments {
            let root = ["crate".to_owned()];
            root.iter().chain(module).chain(rest).cloned().collect()
        };
        let Some((first, rest)) = path.split_first() else {
            return vec![];
        };
        match first.as_str() {
            "crate" => path.to_vec(),
            // `::name` always is another crate.
            "" => rest.to_vec(),
            "self" => own(module, rest),
            "super" => {
                let ups = path
                    .iter()
                    .take_while(|segment| *segment == "super")
                    .count();
                own(&module[..module.len().saturating_sub(ups)], &path[ups..])
            }
            // Limits recursion, as an import may have the name of its crate.
            _ if depth > 8 => path.to_vec(),
            name => {
                let key = (module.to_vec(), name.to_owned());
                if let Some(target) = self.names.get(&key) {
                    let mut target = self.resolve(module, target, modules, depth + 1);
                    target.extend_from_slice(rest);
                    return target;
                }
                let child: Segments = [module, &[name.to_owned()]].concat();
                if modules.contains(&child) {
                    return own(module, path);
                }
                for (within, target) in self.globs.iter().filter(|(within, _)| within == module) {
                    let target = self.resolve(within, target, modules, depth + 1);
                    if let Some((root, target)) = target.split_first()
                        && root == "crate"
                        && target != module
                        && (self.names.contains_key(&(target.to_vec(), name.to_owned()))
                            || modules.contains(&[target, &[name.to_owned()]].concat()))
                    {
                        return self.resolve(target, path, modules, depth + 1);
                    }
                }
                path.to_vec()
            }
        }
    }

    fn import(&mut self, tree: &UseTree, prefix: &[String]) {
        let with = |name: String| -> Segments { [prefix, &[name]].concat() };
        match tree {
            UseTree::Path(path) => {
                let prefix = with(path.ident.unraw().to_string());
                self.import(&path.tree, &prefix);
            }
            UseTree::Group(group) => group
                .items
                .iter()
                .for_each(|tree| self.import(tree, prefix)),
            UseTree::Glob(_) => self.globs.push((self.module.clone(), prefix.to_vec())),
            UseTree::Name(name) => {
                let name = name.ident.unraw().to_string();
                // `a::{self}` is `a`.
                let path = if name == "self" {
                    prefix.to_vec()
                } else {
                    with(name)
                };
                let name = path.last().cloned().unwrap_or_default();
                self.name(name, path);
            }
            UseTree::Rename(rename) => {
                let name = rename.ident.unraw().to_string();
                let path = if name == "self" {
                    prefix.to_vec()
                } else {
                    with(name)
                };
                self.name(rename.rename.unraw().to_string(), path);
            }
        }
    }

    fn name(&mut self, name: String, path: Segments) {
        self.paths.push((self.module.clone(), path.clone()));
        // `use tokio;` names what it is.
        if path.len() > 1 || path[0] != name {
            self.names.insert((self.module.clone(), name), path);
        }
    }

    /// Collects names joined by `::` in the tokens of a macro.
    fn tokens(&mut self, tokens: TokenStream) {
        let (mut path, mut colons): (Segments, usize) = (vec![], 0);
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.end_of(&mut path);
                    }
                    path.push(ident.unraw().to_string());
                    colons = 0;
                }
                other => {
                    self.end_of(&mut path);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.end_of(&mut path);
    }

    fn end_of(&mut self, path: &mut Segments) {
        if path.len() > 1 {
            self.paths.push((self.module.clone(), path.clone()));
        }
        path.clear();
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.unraw().to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let prefix: Segments = item
            .leading_colon
            .map(|_| String::new())
            .into_iter()
            .collect();
        self.import(&item.tree, &prefix);
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        // `self` is this crate.
        let target = match item.ident.unraw().to_string().as_str() {
            "self" => "crate".to_owned(),
            other => other.to_owned(),
        };
        let name = item.rename.as_ref().map_or(&item.ident, |(_, name)| name);
        self.name(name.unraw().to_string(), vec![target]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let leading = path.leading_colon.map(|_| String::new());
        let segments = path
            .segments
            .iter()
            .map(|segment| segment.ident.unraw().to_string());
        self.paths.push((
            self.module.clone(),
            leading.into_iter().chain(segments).collect(),
        ));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, r#macro: &'ast syn::Macro) {
        self.tokens(r#macro.tokens.clone());
        visit::visit_macro(self, r#macro);
    }

    fn visit_meta_list(&mut self, list: &'ast syn::MetaList) {
        self.tokens(list.tokens.clone());
        visit::visit_meta_list(self, list);
    }
}

#[test]
fn a_reference_is_seen_however_it_is_written() {
    let modules: BTreeSet<Segments> = [
        "chat",
        "chat::a",
        "chat::b",
        "chat::a::tests",
        "api",
        "store",
        "server",
    ]
    .iter()
    .map(|path| path.split("::").map(ToOwned::to_owned).collect())
    .collect();
    let seen = |text: &str, path: &str| {
        let module = ["chat".to_owned(), "a".to_owned()];
        let found = references(&module, text, &modules);
        let path: Segments = path.split("::").map(ToOwned::to_owned).collect();
        assert!(found.contains(&path), "{text}: {found:?}");
    };
    for (text, path) in [
        ("use crate::{chat::error::Error, api};", "crate::api"),
        (
            "use crate::{\n    api::{self, answer},\n    store,\n};",
            "crate::api::answer",
        ),
        ("use crate::api::{self};", "crate::api"),
        (
            "use super::super::api::answer as reply;",
            "crate::api::answer",
        ),
        ("use super::{super::api, b};", "crate::api"),
        ("use super::b;", "crate::chat::b"),
        ("pub(crate) use self::inner::x;", "crate::chat::a::inner::x"),
        (
            "use super::super::api as other; fn f() { other::answer::ok() }",
            "crate::api::answer::ok",
        ),
        (
            "fn f() -> crate::server::State { todo!() }",
            "crate::server::State",
        ),
        (
            "fn f() { println!(\"{}\", crate::api::answer::ok()) }",
            "crate::api::answer::ok",
        ),
        (
            "fn f() { tokio::select! { a = crate::server::run() => {} } }",
            "crate::server::run",
        ),
        (
            "mod tests { use super::super::super::api; fn f() { api::x() } }",
            "crate::api::x",
        ),
        (
            "use crate::api; mod tests { use super::*; fn f() { api::x() } }",
            "crate::api::x",
        ),
        ("fn f() { use crate::api; api::x() }", "crate::api::x"),
        ("type A = Vec<Option<crate::api::X>>;", "crate::api::X"),
        (
            "use sqlx::query as ask; fn f() { ask(\"select 1\") }",
            "sqlx::query",
        ),
        ("fn f() { ::sqlx::query!(\"select 1\") }", "sqlx::query"),
    ] {
        seen(text, path);
    }
    // In a folder's `mod.rs`, a bare name may be a module beside it.
    let found = references(&["chat".to_owned()], "fn f() { b::x() }", &modules);
    assert!(
        found.contains(
            ["crate", "chat", "b", "x"]
                .map(ToOwned::to_owned)
                .as_slice()
        )
    );
}
