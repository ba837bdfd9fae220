//! Lists as the management interface gives them: filtered, sorted, cut into pages, reduced to columns.

use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Items on a page unless something else is said, and at most.
const PAGE: (usize, usize) = (100, 500);

/// What may stand behind the question mark of a list.
#[derive(Debug, Default, Clone, Deserialize)]
pub(super) struct Query {
    page: Option<usize>,
    page_size: Option<usize>,
    name: Option<String>,
    use_regex: Option<String>,
    sort: Option<String>,
    sort_reverse: Option<String>,
    columns: Option<String>,
}

impl Query {
    /// The list as asked for; an error says what is wrong with the question.
    pub(super) fn apply(&self, items: Vec<Value>) -> Result<Value, String> {
        let total = items.len();
        let mut items = self.filter(items)?;
        if let Some(sort) = &self.sort {
            items.sort_by(|a, b| compare(find(a, sort), find(b, sort)));
            if is_on(self.sort_reverse.as_ref()) {
                items.reverse();
            }
        }
        let Some(page) = self.page else {
            return Ok(Value::Array(self.reduce(items)));
        };
        let size = self.page_size.unwrap_or(PAGE.0);
        if page == 0 || size == 0 || size > PAGE.1 {
            return Err(format!("pages count from 1 and have 1 to {} items", PAGE.1));
        }
        let filtered = items.len();
        let pages = filtered.div_ceil(size).max(1);
        if page > pages {
            return Err(format!("page {page} is behind the last one, {pages}"));
        }
        let on_page: Vec<_> = items.into_iter().skip((page - 1) * size).take(size).collect();
        Ok(json!({
            "page": page,
            "page_count": pages,
            "page_size": size,
            "filtered_count": filtered,
            "item_count": on_page.len(),
            "total_count": total,
            "items": self.reduce(on_page),
        }))
    }

    fn filter(&self, items: Vec<Value>) -> Result<Vec<Value>, String> {
        let Some(wanted) = self.name.as_deref().filter(|name| !name.is_empty()) else {
            return Ok(items);
        };
        let name = |item: &Value| item["name"].as_str().unwrap_or_default().to_owned();
        if is_on(self.use_regex.as_ref()) {
            let pattern = Regex::new(wanted).map_err(|error| error.to_string())?;
            return Ok(items.into_iter().filter(|item| pattern.is_match(&name(item))).collect());
        }
        let wanted = wanted.to_lowercase();
        Ok(items.into_iter().filter(|item| name(item).to_lowercase().contains(&wanted)).collect())
    }

    fn reduce(&self, items: Vec<Value>) -> Vec<Value> {
        items.into_iter().map(|item| self.one(item)).collect()
    }

    /// An item with the columns that were asked for; a dot leads into an object.
    pub(super) fn one(&self, item: Value) -> Value {
        let Some(columns) = &self.columns else { return item };
        let mut reduced = Value::Object(Map::new());
        for column in columns.split(',').map(str::trim) {
            if let Some(value) = find(&item, column) {
                place(&mut reduced, column, value.clone());
            }
        }
        reduced
    }
}

fn is_on(flag: Option<&String>) -> bool {
    flag.is_some_and(|text| text == "true")
}

fn find<'a>(item: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(item, |value, key| value.get(key))
}

fn place(target: &mut Value, path: &str, value: Value) {
    match path.split_once('.') {
        None => target[path] = value,
        Some((key, rest)) => {
            if !target[key].is_object() {
                target[key] = Value::Object(Map::new());
            }
            place(&mut target[key], rest, value);
        }
    }
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> std::cmp::Ordering {
    let number = |value: Option<&Value>| value.and_then(Value::as_f64);
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => text(a).cmp(&text(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> Vec<Value> {
        (0..25)
            .map(|n| json!({"name": format!("q{n}"), "messages": n % 7, "stats": {"rate": n, "more": 1}}))
            .collect()
    }

    fn query(text: &str) -> Query {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        let map: Map<String, Value> = pairs
            .map(|(key, value)| match value.parse::<u64>() {
                Ok(number) => (key.to_owned(), number.into()),
                Err(_) => (key.to_owned(), value.into()),
            })
            .collect();
        serde_json::from_value(map.into()).unwrap()
    }

    #[test]
    fn pages_say_how_many_there_are() {
        let page = query("page=3&page_size=10").apply(items()).unwrap();
        assert_eq!(
            (&page["page_count"], &page["item_count"], &page["total_count"]),
            (&3.into(), &5.into(), &25.into())
        );
        assert_eq!(page["items"][0]["name"], "q20");
        assert!(query("page=4&page_size=10").apply(items()).is_err());
        assert!(query("page=0").apply(items()).is_err());
    }

    #[test]
    fn names_are_matched_by_part_or_pattern() {
        let count = |text: &str| query(text).apply(items()).map(|list| list.as_array().unwrap().len());
        assert_eq!(count("name=Q2"), Ok(6));
        assert_eq!(count("name=^q.$&use_regex=true"), Ok(10));
        assert!(count("name=(&use_regex=true").is_err());
    }

    #[test]
    fn columns_lead_into_objects_and_lists_are_sorted() {
        let list =
            query("sort=stats.rate&sort_reverse=true&columns=name,stats.rate,none").apply(items()).unwrap();
        assert_eq!(list[0], json!({"name": "q24", "stats": {"rate": 24}}));
    }
}
