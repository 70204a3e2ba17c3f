/// diffusers named the layers of its attention otherwise until version 0.12; published weights still have those keys.
pub(crate) fn current_attention_name(name: &str) -> String {
    const RENAMED: [(&str, &str); 4] =
        [("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0")];
    if let Some((layer, kind)) = name.rsplit_once('.')
        && let Some((attention, old)) = layer.rsplit_once('.')
        && attention.contains("attentions.")
        && let Some((_, new)) = RENAMED.iter().find(|(known, _)| *known == old)
    {
        return format!("{attention}.{new}.{kind}");
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::current_attention_name;

    #[test]
    fn only_the_layers_of_attentions_are_renamed() {
        let renamed = |name, expected: &str| assert_eq!(current_attention_name(name), expected);
        renamed("down_blocks.4.attentions.0.query.weight", "down_blocks.4.attentions.0.to_q.weight");
        renamed("mid_block.attentions.0.proj_attn.bias", "mid_block.attentions.0.to_out.0.bias");
        for kept in
            ["mid_block.attentions.0.group_norm.weight", "mid_block.attentions.0.to_q.weight", "key.weight", "a"]
        {
            renamed(kept, kept);
        }
    }
}
