"""Formats of text without mentions: how a file begins, each of its documents (id, title, abstract), how it ends."""

PLAIN = {
    "text": ("", "{1}\n{2}\n\n", ""),
    "csv": ("id,title,abstract\n", '{0},"{1}\nSo, ""it""",{2}\n', ""),
    "tsv": ("id\ttitle\tabstract\n", '{0}\t"{1}\n"\t{2}\n', ""),
    "medline": ("\n", "PMID- {0}\nTI  - {1}\nAB  - {2}\n      goes on.\n\n", ""),
    "pubmed-xml": (
        '<!DOCTYPE PubmedArticleSet SYSTEM "x.dtd"><PubmedArticleSet>',
        "<PubmedArticle><MedlineCitation><PMID>{0}</PMID><Article><ArticleTitle>{1}</ArticleTitle><Abstract>"
        '<AbstractText Label="X">{2}</AbstractText></Abstract></Article></MedlineCitation></PubmedArticle>',
        "</PubmedArticleSet>",
    ),
    "jats": (
        "<pmc-articleset>",
        '<article><front><article-meta><article-id pub-id-type="pmc">{0}</article-id><title-group><article-title>{1}'
        "</article-title></title-group></article-meta></front><body><sec><title>X</title><p>{2}<sup><xref "
        'ref-type="bibr">1</xref></sup></p></sec></body></article>',
        "</pmc-articleset>",
    ),
}
